"""What real clients send, byte for byte, recorded between each of them and a worker.

kserve 0.21.0 (httpx 0.28.1, grpcio 1.85.1), cloudevents 1.13.0 (requests 2.34.2), azure-ai-ml
1.35.2 (azure-core 1.41.0), and `urllib` of Python 3.11 as Azure's documentation calls it. Port and
kernel are made up, and the key stands as `KEY`.
"""

from typing import Final

HTTPX: Final = (
    b"Host: 127.0.0.1:8080\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Connection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\nAuthorization: Bearer KEY\r\n"
)
REQUESTS: Final = (
    b"Host: 127.0.0.1:8080\r\nUser-Agent: python-requests/2.34.2\r\n"
    b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
)
TABLE: Final = (
    b'{"input_data": {"columns": ["delay", "carrier", "seats", "name"], "index": [0], '
    b'"data": [[2.0, "AA", 10, "Ada"]]}}'
)

KSERVE_V1: Final = (
    b"POST /v1/models/flights:predict HTTP/1.1\r\n%bcontent-type: application/json\r\n"
    b"Content-Length: 68\r\n\r\n"
    b'{"instances":[{"delay":2.0,"carrier":"AA","seats":10,"name":"Ada"}]}' % HTTPX
)
KSERVE_V1_READY: Final = b"GET /v1/models/flights HTTP/1.1\r\n%b\r\n" % HTTPX
KSERVE_V1_LIVE: Final = (  # called with the header `Accept`
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Connection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\nAuthorization: Bearer KEY\r\n"
    b"Accept: application/json\r\n\r\n"
)
KSERVE_V2_JSON: Final = (
    b"POST /v2/models/flights/infer HTTP/1.1\r\n%bcontent-type: application/json\r\n"
    b"Content-Length: 298\r\n\r\n"
    b'{"id":"7","model_name":"flights","inputs":['
    b'{"name":"delay","shape":[1,1],"datatype":"FP32","data":[2.0]},'
    b'{"name":"carrier","shape":[1,1],"datatype":"BYTES","data":["AA"]},'
    b'{"name":"seats","shape":[1,1],"datatype":"INT64","data":[10]},'
    b'{"name":"name","shape":[1,1],"datatype":"BYTES","data":["Ada"]}]}' % HTTPX
)
KSERVE_V2_BINARY: Final = (
    b"POST /v2/models/flights/infer HTTP/1.1\r\n%binference-header-content-length: 450\r\n"
    b"content-type: application/octet-stream\r\nContent-Length: 475\r\n\r\n"
    b'{"id":"7","model_name":"flights","inputs":['
    b'{"name":"delay","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}},'
    b'{"name":"carrier","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":6}},'
    b'{"name":"seats","shape":[1,1],"datatype":"INT64","parameters":{"binary_data_size":8}},'
    b'{"name":"name","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":7}}],'
    b'"outputs":[{"name":"late","parameters":{"binary_data":true}}]}'
    b"\x00\x00\x00@\x02\x00\x00\x00AA\n\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00Ada" % HTTPX
)
KSERVE_GRPC: Final = (  # up to the message; then come the client's acknowledgements
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00$\x04\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00"
    b"\x00\x03\x00\x00\x00\x00\x00\x04\x00@\x00\x00\x00\x05\x00@\x00\x00\x00\x06\x00\x00@\x00"
    b"\xfe\x03\x00\x00\x00\x01\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00?\x00\x01\x00\x00\x00\x04"
    b"\x01\x00\x00\x00\x00\x00\x01W\x01\x04\x00\x00\x00\x01"
    b"@\x05:path*/inference.GRPCInferenceService/ModelInfer@\n:authority\x0f127.0.0.1:18080"
    b"\x83\x86@\x0ccontent-type\x10application/grpc@\x02te\x08trailers"
    b"@\x14grpc-accept-encoding\x17identity, deflate, gzip@\x0cgrpc-timeout\x021M"
    b"@\nuser-agent8grpc-python-asyncio/1.85.1 grpc-c/58.0.0 (linux; chttp2)"
    b"\x00\rauthorizationGBearer KEY\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x05"
    b"\x00\x00\xe2\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\xdd\n\x07flights\x1a\x017"
    b'*)\n\x05delay\x12\x04FP32\x1a\x02\x01\x01"\x16\n\x10binary_data_size\x12\x02\x10\x04'
    b'*,\n\x07carrier\x12\x05BYTES\x1a\x02\x01\x01"\x16\n\x10binary_data_size\x12\x02\x10\x06'
    b'**\n\x05seats\x12\x05INT64\x1a\x02\x01\x01"\x16\n\x10binary_data_size\x12\x02\x10\x08'
    b'*)\n\x04name\x12\x05BYTES\x1a\x02\x01\x01"\x16\n\x10binary_data_size\x12\x02\x10\x07'
    b":\x04\x00\x00\x00@:\x06\x02\x00\x00\x00AA:\x08\n\x00\x00\x00\x00\x00\x00\x00"
    b":\x07\x03\x00\x00\x00Ada"
)
EVENT_BINARY: Final = (
    b"POST /v1/models/flights:predict HTTP/1.1\r\n%bce-specversion: 1.0\r\n"
    b"ce-id: 3bf54210-6b8f-48e7-8c43-9f3b4b181b47\r\n"
    b"ce-source: https://example.com/event-producer\r\nce-type: com.example.sampletype1\r\n"
    b"ce-time: 2026-11-22T20:38:13.892505+00:00\r\nAuthorization: Bearer KEY\r\n"
    b"Content-Length: 76\r\n\r\n"
    b'{"instances": [{"delay": 2.0, "carrier": "AA", "seats": 10, "name": "Ada"}]}' % REQUESTS
)
EVENT_OCTETS: Final = EVENT_BINARY.replace(  # `datacontenttype` of an event made of bytes
    b"ce-specversion", b"content-type: application/octet-stream\r\nce-specversion", 1
)
EVENT_STRUCTURED: Final = (
    b"POST /v1/models/flights:predict HTTP/1.1\r\n%bcontent-type: application/cloudevents+json\r\n"
    b"Authorization: Bearer KEY\r\nContent-Length: 281\r\n\r\n"
    b'{"specversion": "1.0", "id": "4233a9db-bc8a-44f0-8067-0e21e1a6c8c3", '
    b'"source": "https://example.com/event-producer", "type": "com.example.sampletype1", '
    b'"time": "2026-11-22T20:38:14.418813+00:00", '
    b'"data": {"instances": [{"delay": 2.0, "carrier": "AA", "seats": 10, "name": "Ada"}]}}'
    % REQUESTS
)
AZURE_SDK: Final = (  # `online_endpoints.invoke` sends it with this pipeline
    b"POST /score HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    b"User-Agent: azure-ai-ml azsdk-python-core/1.41.0 Python/3.11.7 "
    b"(Linux-6.18-x86_64-with-glibc2.36)\r\n"
    b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
    b"Content-Type: application/json\r\nContent-Length: 114\r\nAuthorization: Bearer KEY\r\n"
    b"azureml-model-deployment: green\r\n\r\n%b" % TABLE
)
AZURE_DOCS: Final = (
    b"POST /score HTTP/1.1\r\nAccept-Encoding: identity\r\nContent-Length: 114\r\n"
    b"Host: 127.0.0.1:8080\r\nUser-Agent: Python-urllib/3.11\r\nContent-Type: application/json\r\n"
    b"Accept: application/json\r\nAuthorization: Bearer KEY\r\nAzureml-Model-Deployment: green\r\n"
    b"X-Ms-Client-Request-Id: 5a2c1d9e-0000-4000-8000-0123456789ab\r\nConnection: close\r\n\r\n%b"
    % TABLE
)
