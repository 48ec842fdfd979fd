"""The Open Inference Protocol V2 over gRPC.

Source: open-inference-protocol, specification/protocol/inference_grpc.md.
"""

from typing import Final, cast

from google.protobuf.message import Message

from servewell.core.catalog.signature import Datatype, Signature
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.protocols.dialect import Answerable, Headers, Kind, Reply, Route
from servewell.serving.protocols.grpc_messages import InferRequest, message_type
from servewell.serving.protocols.grpc_methods import METHODS
from servewell.serving.protocols.grpc_request import as_binary, timeout_us
from servewell.serving.protocols.grpc_status import status_lines
from servewell.serving.protocols.oip_answer import classified
from servewell.serving.protocols.oip_binary import tensor_bytes
from servewell.serving.protocols.oip_binary_request import BinaryRequestDecoder
from servewell.serving.protocols.oip_wishes import Form
from servewell.serving.refusals import GrpcOnlyError, RequestError

# A field of bytes is its tag, its length as a varint, and the bytes.
INFER_RESPONSE_TAG: Final = b"\x12"  # field 2 of `ModelStreamInferResponse`
VARINT_BASE: Final = 128

_InferResponse: Final = message_type("inference.ModelInferResponse")
_StreamResponse: Final = message_type("inference.ModelStreamInferResponse")


class GrpcInference:
    """See `Dialect`."""

    name = "grpc"

    def reader(self, signature: Signature) -> "GrpcReader":
        """See `Dialect.reader`."""
        return GrpcReader(signature)

    def answer(self, one: Answerable) -> tuple[bytes, bytes]:
        """See `Dialect.answer`. Tensors go raw: the clients read nothing else."""
        served, decoded = one.served, one.decoded
        if served is None or decoded is None:
            raise AssertionError("an answer has a deployment and a request")
        outputs = _formed(one.outputs, decoded, served.signature)
        response = _InferResponse(
            model_name=served.endpoint,
            model_version=served.version,
            id=decoded.request_id,
            parameters={
                "prediction_id": {"string_param": one.prediction_id},
                "deployment": {"string_param": served.name},
            },
            outputs=[
                {"name": each.name, "datatype": each.datatype, "shape": each.shape}
                for each in outputs
            ],
            raw_output_contents=[
                tensor_bytes(each.data, Datatype(each.datatype)) for each in outputs
            ],
        )
        return served.head, response.SerializeToString()

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """See `Dialect.refuse`. The body is for those who ask without gRPC."""
        del one
        return status, status_lines(error, status), error.sentence.encode()


def stream_answer(answer: bytes) -> bytes:
    """Return the message of a stream that carries an answer."""
    size, rest = [], len(answer)
    while rest >= VARINT_BASE:
        size.append(rest % VARINT_BASE + VARINT_BASE)
        rest //= VARINT_BASE
    return b"%b%b%b" % (INFER_RESPONSE_TAG, bytes([*size, rest]), answer)


def stream_error(error: RequestError, request_id: str) -> bytes:
    """Return the message of a stream that tells of an error of one request."""
    message = f"{error.sentence} Code: {error.code}."
    told = _StreamResponse(error_message=message, infer_response={"id": request_id})
    return told.SerializeToString()


class GrpcReader:
    """See `Reader`."""

    def __init__(self, signature: Signature) -> None:
        self._binary = BinaryRequestDecoder(signature)

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """See `Reader.decode`."""
        if not isinstance(body, Message):
            raise GrpcOnlyError.told()
        plain, how = as_binary(cast("InferRequest", body))
        decoded = self._binary.decode(plain, headers=how, rows_max=rows_max)
        decoded.as_arrays = True
        wishes = (timeout_us(headers), decoded.timeout_us)
        decoded.timeout_us = min((one for one in wishes if one), default=0)
        return decoded


def _formed(
    outputs: list[OutputTensor], decoded: Decoded, signature: Signature
) -> list[OutputTensor]:
    form = decoded.form
    if not isinstance(form, Form) or not form.classes:
        return outputs
    labels = {one.name: one.classes or () for one in signature.outputs}
    return [classified(one, form.classes, labels[one.name]) for one in outputs]


DIALECT: Final = GrpcInference()

ROUTES: Final = {
    (one.service, one.name, len(one.names)): Route(
        one.kind,
        DIALECT,
        page=one.page,
        methods=("POST",),
        right=one.right,
        of_endpoint=bool(one.names),
    )
    for one in METHODS
}
LIVE: Final = {
    one.path: ROUTES[one.service, one.name, 0] for one in METHODS if one.kind is Kind.LIVE
}


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what the path of a call asks for, or None where it is none."""
    service, name, *names = parts if len(parts) > 1 else ("", "")
    known = ROUTES.get((service, name, len(names)))
    if known is None or not names:
        return known
    return Route(
        known.kind,
        DIALECT,
        page=known.page,
        methods=known.methods,
        right=known.right,
        endpoint=names[0],
        version=names[1] if len(names) > 1 else "",
    )
