"""NVIDIA's client, unmodified, in each of its modes."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from numpy.typing import NDArray
from onnx import helper

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.runtimes.model import DTYPES
from serving.home import Home, Reply, flight_model, onnx_bytes

# A model that answers every type with what it got, and scores of three classes with labels.
EVERY = Signature(
    inputs=(
        *(Input(name=one.value.lower(), datatype=one, nullable=one.is_float) for one in Datatype),
        Input(name="scores", datatype=Datatype.FP32, row_shape=(3,)),
    ),
    outputs=(
        *(
            Output(name=f"{one.value.lower()}_out", datatype=one, row_shape=(1,))
            for one in Datatype
        ),
        Output(
            name="scores_out",
            datatype=Datatype.FP32,
            row_shape=(3,),
            classes=("late", "early", "on time"),
        ),
    ),
)
# A model of one input, for requests without JSON.
WIDE = Signature(
    inputs=(Input(name="wide", datatype=Datatype.FP32, row_shape=(4,)),),
    outputs=(Output(name="same", datatype=Datatype.FP32, row_shape=(4,)),),
)
ROWS = 200  # enough for an answer that is worth compressing


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A worker with the models of this file, and a key."""

    home: Home
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """Where NVIDIA's client finds it."""
        return f"127.0.0.1:{self.home.port}"


def _identity(signature: Signature) -> bytes:
    pairs = zip(signature.inputs, signature.outputs, strict=True)
    nodes = [helper.make_node("Identity", [one.name], [other.name]) for one, other in pairs]
    return onnx_bytes(signature, nodes, [])


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = Home(tmp_path_factory.mktemp("triton"))
    key, grant = home.key()
    models = {"every": EVERY, "wide": WIDE}
    endpoints = tuple(
        Endpoint(
            name=name,
            workload=name,
            deployments=(home.deployment("v1", _identity(signature), signature=signature),),
        )
        for name, signature in models.items()
    )
    flights = Endpoint(
        name="flights",
        workload="flights",
        deployments=(
            home.deployment("blue", flight_model(2.0)),
            home.deployment("green", flight_model(3.0), version=2, share_bp=0),
        ),
    )
    home.publish_endpoints((*endpoints, flights), (grant,))
    with home.process():
        home.wait_for_snapshot()
        yield Served(home=home, headers={"Authorization": f"Bearer {key}"})
    home.close()


@pytest.fixture
def served(socket_enabled: None, _served: Served) -> Served:
    """The worker that the tests of this file share."""
    del socket_enabled
    return _served


@pytest.fixture
def client(served: Served) -> Iterator[triton.InferenceServerClient]:
    """NVIDIA's client."""
    with triton.InferenceServerClient(served.url, concurrency=4) as made:
        yield made


def columns_of(rows: int) -> dict[str, NDArray[Any]]:
    """Return values of every type."""
    made: dict[str, NDArray[Any]] = {}
    for number, one in enumerate(Datatype):
        values = (np.arange(rows) + number) % 100
        if one is Datatype.BYTES:
            made["bytes"] = np.array([[f"é{value}"] for value in values], dtype=object)
        else:
            made[one.value.lower()] = values.astype(DTYPES[one]).reshape(rows, 1)
    scores = np.tile(np.array([0.25, 0.5, 0.25], np.float32), (rows, 1))
    return made | {"scores": scores}


def inputs_of(columns: dict[str, NDArray[Any]], *, binary: bool) -> list[triton.InferInput]:
    """Return columns as inputs of NVIDIA's client; FP16 has no other form there than binary."""
    made = []
    for name, values in columns.items():
        datatype = "FP32" if name == "scores" else name.upper()
        one = triton.InferInput(name, list(values.shape), datatype)
        one.set_data_from_numpy(values, binary_data=binary or datatype == "FP16")
        made.append(one)
    return made


def outputs_of(*, binary: bool) -> list[triton.InferRequestedOutput]:
    """Return every output, asked for in one form."""
    return [triton.InferRequestedOutput(one.name, binary_data=binary) for one in EVERY.outputs]


def check(answer: Any, columns: dict[str, NDArray[Any]]) -> None:  # noqa: ANN401  (the client has no types)
    """Hold an answer to what was sent."""
    for name, values in columns.items():
        found = answer.as_numpy(f"{name}_out")
        if name == "bytes":
            texts = [one.decode() if isinstance(one, bytes) else one for one in found.reshape(-1)]
            assert texts == values.reshape(-1).tolist()
        else:
            assert found.dtype == values.dtype
            assert found.tolist() == values.tolist()


@pytest.mark.parametrize("binary_in", [False, True], ids=["json in", "binary in"])
@pytest.mark.parametrize(
    "binary_out", [False, True, None], ids=["json out", "binary out", "unsaid"]
)
@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("answered", [None, "gzip", "deflate"])
def test_every_type_passes_in_every_mode(  # noqa: PLR0913  (the modes)
    served: Served,
    client: triton.InferenceServerClient,
    *,
    binary_in: bool,
    binary_out: bool | None,
    sent: str | None,
    answered: str | None,
) -> None:
    """JSON and binary, in and out, plain and compressed, come back as they were sent."""
    columns = columns_of(ROWS)
    answer = client.infer(
        "every",
        inputs_of(columns, binary=binary_in),
        outputs=None if binary_out is None else outputs_of(binary=binary_out),
        request_id="7",
        headers=dict(served.headers),
        request_compression_algorithm=sent,
        response_compression_algorithm=answered,
    )
    check(answer, columns)
    said = answer.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("7", "every", "1")
    is_binary = "parameters" in said["outputs"][0]
    assert is_binary == (binary_out is not False)


def test_what_is_not_a_number_passes_in_binary(
    served: Served, client: triton.InferenceServerClient
) -> None:
    """A missing value is NaN both ways, where the model takes one."""
    columns = columns_of(1)
    for name in ("fp16", "fp32", "fp64"):
        columns[name] = np.full((1, 1), np.nan, columns[name].dtype)
    answer = client.infer("every", inputs_of(columns, binary=True), headers=dict(served.headers))
    assert all(np.isnan(answer.as_numpy(f"{one}_out")[0, 0]) for one in ("fp16", "fp32", "fp64"))


def test_inputs_may_be_mixed(served: Served, client: triton.InferenceServerClient) -> None:
    """Some inputs in JSON, some in binary, and a form for each output."""
    columns = columns_of(3)
    texts = {"bytes": columns.pop("bytes")}
    inputs = [*inputs_of(columns, binary=True), *inputs_of(texts, binary=False)]
    wanted = [
        triton.InferRequestedOutput("fp64_out", binary_data=True),
        triton.InferRequestedOutput("bytes_out", binary_data=False),
    ]
    answer = client.infer("every", inputs, outputs=wanted, headers=dict(served.headers))
    assert [one["name"] for one in answer.get_response()["outputs"]] == ["fp64_out", "bytes_out"]
    assert "data" in answer.get_output("bytes_out")
    assert "data" not in answer.get_output("fp64_out")
    assert answer.as_numpy("fp64_out").tolist() == columns["fp64"].tolist()


@pytest.mark.parametrize("binary", [False, True])
def test_the_largest_scores_are_named(
    served: Served, client: triton.InferenceServerClient, *, binary: bool
) -> None:
    """The classification extension gives `value:index:label`, largest first, the first of two."""
    wanted = [triton.InferRequestedOutput("scores_out", binary_data=binary, class_count=2)]
    inputs = inputs_of(columns_of(2), binary=True)
    answer = client.infer("every", inputs, outputs=wanted, headers=dict(served.headers))
    found = answer.as_numpy("scores_out").tolist()
    row = ["0.500000:1:early", "0.250000:0:late"]
    assert answer.get_output("scores_out")["datatype"] == "BYTES"
    assert [[getattr(one, "decode", lambda one=one: one)() for one in own] for own in found] == [
        row,
        row,
    ]


def test_classes_of_texts_are_refused(served: Served, client: triton.InferenceServerClient) -> None:
    """Texts have no order, and the answer says so."""
    wanted = [triton.InferRequestedOutput("bytes_out", class_count=2)]
    with pytest.raises(triton.InferenceServerException, match="no order"):
        client.infer(
            "every",
            inputs_of(columns_of(1), binary=True),
            outputs=wanted,
            headers=dict(served.headers),
        )


def test_parameters_pass(served: Served, client: triton.InferenceServerClient) -> None:
    """Priority, timeout, a sequence and parameters of the caller's own are no fault."""
    columns = columns_of(2)
    answer = client.infer(
        "every",
        inputs_of(columns, binary=True),
        headers=dict(served.headers),
        priority=1,
        timeout=10_000_000,
        sequence_id=5,
        sequence_start=True,
        parameters={"mine": "x", "more": 1.5},
    )
    check(answer, columns)


def test_versions_pin(served: Served, client: triton.InferenceServerClient) -> None:
    """A version in the call is answered by the deployment that serves it."""
    inputs = []
    for name, datatype, values in (
        ("delay", "FP32", np.array([[2.0]], np.float32)),
        ("carrier", "BYTES", np.array([["AA"]], object)),
        ("seats", "INT64", np.array([[10]], np.int64)),
        ("name", "BYTES", np.array([["Ada"]], object)),
    ):
        inputs.append(triton.InferInput(name, [1, 1], datatype))
        inputs[-1].set_data_from_numpy(values)
    for version, late in (("1", 14.0), ("2", 16.0)):
        headers = dict(served.headers)
        answer = client.infer("flights", inputs, model_version=version, headers=headers)
        assert answer.as_numpy("late").tolist() == [[late]]
        assert client.is_model_ready("flights", version, headers=headers)
        assert client.get_model_metadata("flights", version, headers=headers)["name"] == "flights"
        assert client.get_model_config("flights", version, headers=headers)["input"]
    assert not client.is_model_ready("flights", "9", headers=dict(served.headers))


def test_async_calls_come_back_to_their_callers(
    served: Served, client: triton.InferenceServerClient
) -> None:
    """Calls in flight at once each get their own rows."""
    sent = [columns_of(rows) for rows in (1, 2, 3, 4)]
    calls = [
        client.async_infer("every", inputs_of(one, binary=True), headers=dict(served.headers))
        for one in sent
    ]
    for call, columns in zip(calls, sent, strict=True):
        check(call.get_result(), columns)


def test_the_asyncio_client_works(served: Served) -> None:
    """`tritonclient.http.aio`, too, passes with binary, JSON and compression."""

    async def calls() -> None:
        columns = columns_of(ROWS)
        async with triton_aio.InferenceServerClient(served.url) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready(headers=dict(served.headers))
            assert await client.is_model_ready("every", headers=dict(served.headers))
            for binary in (False, True):
                for coding in (None, "gzip", "deflate"):
                    answer = await client.infer(
                        "every",
                        inputs_of(columns, binary=binary),
                        outputs=outputs_of(binary=binary),
                        headers=dict(served.headers),
                        request_compression_algorithm=coding,
                        response_compression_algorithm=coding,
                    )
                    check(answer, columns)

    asyncio.run(calls())


def test_health_and_metadata_read(served: Served, client: triton.InferenceServerClient) -> None:
    """The client reads what it knows, and what it cannot have is said in words."""
    headers = served.headers
    assert client.is_server_live()
    assert client.is_server_ready(headers=dict(headers))
    assert "binary_tensor_data" in client.get_server_metadata(headers=dict(headers))["extensions"]
    assert client.get_model_metadata("wide", headers=dict(headers))["inputs"] == [
        {"name": "wide", "datatype": "FP32", "shape": [-1, 4]}
    ]
    assert client.get_model_config("wide", headers=dict(headers))["output"] == [
        {"name": "same", "data_type": "TYPE_FP32", "dims": [-1, 4]}
    ]
    for call in (
        client.get_inference_statistics,
        client.get_trace_settings,
        client.get_log_settings,
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        client.unregister_system_shared_memory,
    ):
        with pytest.raises(triton.InferenceServerException, match="not offered here"):
            call(headers=dict(headers))


def test_every_failure_is_told_in_words(
    served: Served, client: triton.InferenceServerClient
) -> None:
    """A refusal reaches the user of the client as a sentence, without the data that was sent."""
    plain = columns_of(1)
    wide = inputs_of(plain | {"int8": np.full((1, 2), 77, np.int8)}, binary=True)
    other = inputs_of(plain, binary=True)
    other[-2] = triton.InferInput("bytes", [1, 1], "INT8")
    other[-2].set_data_from_numpy(np.full((1, 1), 77, np.int8))
    for name, inputs in (("int8", wide), ("bytes", other)):
        with pytest.raises(triton.InferenceServerException, match=f"Input `{name}`") as caught:
            client.infer("every", inputs, headers=dict(served.headers))
        assert caught.value.status() == "400"
        assert "77" not in caught.value.message()
    with pytest.raises(triton.InferenceServerException, match="no key"):
        client.infer("every", inputs_of(plain, binary=True))
    with pytest.raises(triton.InferenceServerException, match="no endpoint of that name"):
        client.infer("nothing", inputs_of(plain, binary=True), headers=dict(served.headers))
    with pytest.raises(triton.InferenceServerException, match="does not permit"):
        client.load_model("every", headers=dict(served.headers))


def _raw(served: Served, model: str, body: bytes) -> Reply:
    headers = served.headers | {
        "Inference-Header-Content-Length": "0",
        "Content-Type": "application/octet-stream",
    }
    return served.home.send("POST", f"/v2/models/{model}/infer", body=body, headers=headers)


def test_a_request_may_be_its_tensor_alone(served: Served) -> None:
    """A raw request is one row, and its answer is binary."""
    sent = np.array([1, 2, 3, 4], np.float32)
    reply = _raw(served, "wide", sent.tobytes())
    size = int(reply.headers["inference-header-content-length"])
    [output] = json.loads(reply.body[:size])["outputs"]
    assert reply.headers["content-type"] == "application/octet-stream"
    assert output == {
        "name": "same",
        "datatype": "FP32",
        "shape": [1, 4],
        "parameters": {"binary_data_size": 16},
    }
    assert reply.body[size:] == sent.tobytes()
    assert _raw(served, "wide", b"123").json["code"] == "SW-313"
    assert _raw(served, "every", sent.tobytes()).json["code"] == "SW-314"


def test_an_answer_is_compressed_only_where_it_is_asked_for_and_worth_it(served: Served) -> None:
    """A short answer and one to a caller that does not ask go as they are."""
    tensor = {"name": "wide", "datatype": "FP32"}
    for rows, accept, coding in (
        (1, "gzip", None),
        (ROWS, "", None),
        (ROWS, "gzip", "gzip"),
        (ROWS, "br, deflate;q=0.5", "deflate"),
        (ROWS, "gzip;q=0, *", "deflate"),
        (ROWS, "identity", None),
    ):
        body = {"inputs": [tensor | {"shape": [rows, 4], "data": [0.5] * rows * 4}]}
        headers = served.headers | ({"Accept-Encoding": accept} if accept else {})
        reply = served.home.send("POST", "/v2/models/wide/infer", body=body, headers=headers)
        assert (reply.status, reply.headers.get("content-encoding")) == (200, coding)


def test_a_binary_request_in_pieces_is_the_same(served: Served) -> None:
    """A chunked binary body is read like one with a length."""
    columns = columns_of(2)
    body, size = triton.InferenceServerClient.generate_request_body(
        inputs_of(columns, binary=True), outputs=outputs_of(binary=True)
    )
    connection = http.client.HTTPConnection("127.0.0.1", served.home.port, timeout=20)
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    headers = served.headers | {"Inference-Header-Content-Length": str(size)}
    connection.request(
        "POST", "/v2/models/every/infer", body=iter(pieces), headers=headers, encode_chunked=True
    )
    reply = connection.getresponse()
    content = reply.read()
    header = reply.getheader("Inference-Header-Content-Length")
    connection.close()
    answer = triton.InferResult.from_response_body(content, header_length=int(header or 0))
    check(answer, columns)


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_a_binary_request_is_recorded_like_its_twin(
    served: Served, client: triton.InferenceServerClient, rows: int
) -> None:
    """What the record keeps of inputs and outputs does not show how they came."""
    columns = columns_of(rows)
    columns["fp32"][0, 0] = columns["fp64"][-1, 0] = np.nan
    for binary in (True, False):
        tensors = inputs_of(columns, binary=binary)
        if not binary:  # this client writes NaN, which is no JSON
            for one in tensors:
                if one.name() in ("fp32", "fp64"):
                    values = columns[one.name()].reshape(-1).tolist()
                    one._data = [None if value != value else value for value in values]  # noqa: PLR0124, SLF001  (not-a-number is null)
        client.infer(
            "every", tensors, outputs=outputs_of(binary=binary), headers=dict(served.headers)
        )
    first, second = served.home.records()[-2:]
    assert list(map(repr, first.inputs)) == list(map(repr, second.inputs))
    for declared, kept, twin in zip(EVERY.outputs, first.outputs, second.outputs, strict=True):
        if isinstance(kept, bytes):  # a long one, as the model gave it
            kept = np.frombuffer(kept, DTYPES[declared.datatype]).tolist()  # noqa: PLW2901
        assert repr(kept) == repr(twin)
