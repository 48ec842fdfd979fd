"""What the Open Inference Protocol V2 has to read: health, metadata, configuration, repository.

Source: open-inference-protocol, specification/protocol/inference_rest.md; Triton,
docs/protocol/extension_model_configuration.md, extension_model_repository.md.
"""

from typing import Final, TypeVar

import msgspec

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.protocols.dialect import EndpointView, Reply, View
from servewell.serving.refusals import (
    BodyMalformedError,
    EndpointUnloadedError,
    ExtensionMissingError,
    NotReadyError,
)

JSON: Final = b"content-type: application/json\r\n"
PLATFORM: Final = "onnxruntime_onnx"
# Only what works here is advertised.
EXTENSIONS: Final = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
)
UNLOADED: Final = "unloaded"
NOT_READY: Final = "none of its deployments with traffic is loaded"

Asked = TypeVar("Asked")

_encode = msgspec.json.encode


def server_live(view: View) -> Reply:
    """Return that the worker lives: it does, where it answers."""
    del view
    return 200, JSON, _encode({"live": True})


def server_ready(view: View) -> Reply:
    """Return whether the worker is ready."""
    return 200 if view.ready else 503, JSON, _encode({"ready": view.ready})


def server(view: View) -> Reply:
    """Return what serves, and which extensions it offers."""
    body = {"name": "servewell", "version": view.release, "extensions": EXTENSIONS}
    return 200, JSON, _encode(body)


def model_ready(view: View) -> Reply:
    """Return whether an endpoint is ready."""
    endpoint = view.endpoint
    ready = endpoint is not None and endpoint.ready
    name = endpoint.name if endpoint else ""
    return 200 if ready else 503, JSON, _encode({"name": name, "ready": ready})


def model(view: View) -> Reply:
    """Return the metadata of an endpoint; -1 stands for any number of rows."""
    endpoint, signature = _asked(view)
    body = {
        "name": endpoint.name,
        "versions": endpoint.versions,
        "platform": PLATFORM,
        "inputs": [_metadata(one) for one in signature.inputs],
        "outputs": [_metadata(one) for one in signature.outputs],
    }
    return 200, JSON, _encode(body)


def model_config(view: View) -> Reply:
    """Return an endpoint as Triton describes a model whose first dimension is the rows."""
    endpoint, signature = _asked(view)
    body = {
        "name": endpoint.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": 0,
        "input": [_configuration(one) for one in signature.inputs],
        "output": [_configuration(one) for one in signature.outputs],
    }
    return 200, JSON, _encode(body)


class _IndexRequest(msgspec.Struct):
    ready: bool = False


def repository_index(view: View) -> Reply:
    """Return the endpoints that the key reaches, each with its versions; if asked, the ready ones.

    The body may be empty: that is what tritonclient sends.

    Raises: BodyMalformedError.
    """
    only_ready = _read_json(view.body, _IndexRequest).ready
    entries = [entry for one in view.endpoints for entry in _entries(one)]
    told = [one for one in entries if one["state"] == "READY" or not only_ready]
    return 200, JSON, _encode(told)


class _ChangeRequest(msgspec.Struct):
    parameters: dict[str, str | int | float | bool] = {}


def repository_change(view: View) -> Reply:
    """Return what answers a load or an unload that was done.

    Raises: BodyMalformedError; ExtensionMissingError where another model is to be loaded than the
    one that is deployed.
    """
    asked = _read_json(view.body, _ChangeRequest)
    if any(name == "config" or name.startswith("file:") for name in asked.parameters):
        raise ExtensionMissingError(
            "A model cannot be sent along.",
            why="an endpoint serves signed packages from the registry of its home",
            fix="import the model with `servewell models import`, then `servewell deploy` it",
        )
    return 200, JSON, b"{}"


def not_offered(view: View) -> Reply:
    """Refuse an extension that Triton's clients know and that is not offered here."""
    del view
    raise ExtensionMissingError(
        "This extension of the protocol is not offered here.",
        why="`GET /v2` lists the extensions that are",
        fix="send tensors in the body of a request; counts and times are at `GET /metrics`, and "
        "settings are the operator's",
    )


def _asked(view: View) -> tuple[EndpointView, Signature]:
    endpoint = view.endpoint
    if endpoint is not None and not endpoint.loaded:
        raise EndpointUnloadedError.of(endpoint.name)
    if endpoint is None or endpoint.signature is None:
        raise NotReadyError.of(endpoint.name if endpoint else "")
    return endpoint, endpoint.signature


def _metadata(one: Input | Output) -> dict[str, object]:
    return {"name": one.name, "datatype": one.datatype, "shape": (-1, *one.row_shape)}


def _configuration(one: Input | Output) -> dict[str, object]:
    name = "STRING" if one.datatype is Datatype.BYTES else one.datatype.value
    return {"name": one.name, "data_type": f"TYPE_{name}", "dims": (-1, *one.row_shape)}


def _read_json(body: bytes, kind: type[Asked]) -> Asked:
    """Return what a body asks for; an empty one asks for nothing in particular."""
    try:
        return msgspec.json.decode(body if body.strip() else b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BodyMalformedError(
            "The body is not what this path takes.",
            why=str(error),
            fix='send no body; the index takes `{"ready": true}` too, for what is ready',
        ) from None


def _entries(endpoint: EndpointView) -> list[dict[str, str]]:
    if endpoint.ready:
        return [
            {"name": endpoint.name, "version": version, "state": "READY", "reason": ""}
            for version in endpoint.versions
        ]
    reason = NOT_READY if endpoint.loaded else UNLOADED
    return [{"name": endpoint.name, "version": "", "state": "UNAVAILABLE", "reason": reason}]
