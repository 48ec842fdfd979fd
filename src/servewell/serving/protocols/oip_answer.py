"""Writing what the Open Inference Protocol V2 answers, in JSON.

Source: open-inference-protocol, specification/protocol/inference_rest.md.
"""

from typing import Final

import msgspec

from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import OutputTensor

PLATFORM: Final = "onnxruntime_onnx"


class _Answer(msgspec.Struct, gc=False, omit_defaults=True):
    model_name: str
    model_version: str
    parameters: dict[str, str]
    outputs: list[OutputTensor]
    id: str = ""


_encode = msgspec.json.Encoder().encode


def encode_answer(
    endpoint: str,
    version: str,
    parameters: dict[str, str],
    *,
    request_id: str,
    outputs: list[OutputTensor],
) -> bytes:
    """Return the body of an answer with predictions; the caller's `id` is echoed."""
    return _encode(_Answer(endpoint, version, parameters, outputs, request_id))


def server_metadata(version: str) -> bytes:
    """Return what `GET /v2` answers. Only what works here is advertised."""
    return _encode({"name": "servewell", "version": version, "extensions": []})


def model_metadata(endpoint: str, versions: list[str], signature: Signature) -> bytes:
    """Return the metadata of an endpoint; -1 stands for any number of rows."""
    return _encode(
        {
            "name": endpoint,
            "versions": versions,
            "platform": PLATFORM,
            "inputs": [
                {"name": one.name, "datatype": one.datatype, "shape": (-1, *one.row_shape)}
                for one in signature.inputs
            ],
            "outputs": [
                {"name": one.name, "datatype": one.datatype, "shape": (-1, *one.row_shape)}
                for one in signature.outputs
            ],
        }
    )


def model_ready(endpoint: str, *, ready: bool) -> bytes:
    """Return whether an endpoint is ready."""
    return _encode({"name": endpoint, "ready": ready})


def server_ready(*, ready: bool) -> bytes:
    """Return whether the worker is ready."""
    return _encode({"ready": ready})


def server_live() -> bytes:
    """Return that the worker lives: it does, where it answers."""
    return _encode({"live": True})
