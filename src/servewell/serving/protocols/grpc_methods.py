"""The methods of the Open Inference Protocol V2 over gRPC, and of gRPC's health check.

A call is given a path, as a request over HTTP has one: that of its method, then the names that
stand in its message. What is no prediction is answered by the pages of the protocol over HTTP:
their JSON has the fields of the messages.

Source: open-inference-protocol, specification/protocol/open_inference_grpc.proto; Triton,
docs/protocol/extension_model_repository.md; grpc, doc/health-checking.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from servewell.core.catalog.key import Right
from servewell.serving.protocols import oip_pages
from servewell.serving.protocols.dialect import Kind, Page, Reply, View
from servewell.serving.protocols.grpc_messages import (
    NOT_SERVING,
    SERVING,
    message_type,
    parameter_values,
)
from servewell.serving.refusals import BodyMalformedError, GrpcOnlyError

INFERENCE: Final = "inference.GRPCInferenceService"
HEALTH: Final = "grpc.health.v1.Health"
OF_MODEL: Final = ("name", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method that can be called."""

    service: str = INFERENCE
    name: str  # whose path a call takes
    request: type[Message]
    names: tuple[str, ...] = ()  # the fields with the names that go into the path
    kind: Kind = Kind.PAGE
    page: Page | None = None
    right: Right = Right.READ
    told: Callable[[Any], object] | None = None  # of a message, what the page reads as JSON
    streams: bool = False

    @property
    def path(self) -> bytes:
        """The path without names."""
        return f"/{self.service}/{self.name}".encode()

    def read(self, data: bytes) -> Message:
        """Return a message.

        Raises: BodyMalformedError.
        """
        try:
            return self.request.FromString(data)
        except DecodeError as error:
            raise BodyMalformedError(
                "The message cannot be read.",
                why=f"it is no `{self.request.DESCRIPTOR.full_name}` ({error})",
                fix="make the client from the protocol's own `.proto` file, or use tritonclient",
            ) from None

    def url(self, message: Message) -> bytes:
        """Return the path of a call with this message."""
        names = [getattr(message, field) for field in self.names]
        return self.path + "".join(f"/{quote(one, safe='')}" for one in names).encode()

    def body(self, message: Message, data: bytes) -> bytes:
        """Return what stands for the body: the bytes of the message, or what a page reads."""
        return data if self.told is None else msgspec.json.encode(self.told(message))


def _page(page: Page, response: str) -> Page:
    """Return a page whose JSON is told as a message."""
    kind = message_type(response)

    def told(view: View) -> Reply:
        if view.message is None:
            raise GrpcOnlyError.told()
        found = msgspec.json.decode(page(view)[2])
        fields = {"models": found} if isinstance(found, list) else found
        return 200, b"", ParseDict(fields, kind(), ignore_unknown_fields=True).SerializeToString()

    return told


def _health(view: View) -> Reply:
    """Return whether the worker takes requests, or an endpoint answers them."""
    ready = view.ready if view.endpoint is None else view.endpoint.ready
    return 200, b"", msgspec.json.encode({"status": SERVING if ready else NOT_SERVING})


def _of_server(name: str, page: Page, *, kind: Kind = Kind.PAGE) -> Method:
    return Method(
        name=name,
        request=message_type(f"inference.{name}Request"),
        kind=kind,
        page=_page(page, f"inference.{name}Response"),
    )


def _of_model(name: str, page: Page) -> Method:
    return Method(
        name=name,
        request=message_type(f"inference.{name}Request"),
        names=OF_MODEL,
        page=_page(page, f"inference.{name}Response"),
    )


def _change(name: str, kind: Kind) -> Method:
    return Method(
        name=name,
        request=message_type(f"inference.{name}Request"),
        names=("model_name",),
        kind=kind,
        page=_page(oip_pages.repository_change, f"inference.{name}Response"),
        right=Right.ADMINISTER,
        told=lambda message: {"parameters": parameter_values(message.parameters)},
    )


def _infer(*, streams: bool) -> Method:
    return Method(
        name="ModelInfer",
        request=message_type("inference.ModelInferRequest"),
        names=("model_name", "model_version"),
        kind=Kind.INFER,
        right=Right.INVOKE,
        streams=streams,
    )


def _health_check(kind: Kind, names: tuple[str, ...]) -> Method:
    return Method(
        service=HEALTH,
        name="Check",
        request=message_type("grpc.health.v1.HealthCheckRequest"),
        names=names,
        kind=kind,
        page=_page(_health, "grpc.health.v1.HealthCheckResponse"),
    )


LIVE: Final = _of_server("ServerLive", oip_pages.server_live, kind=Kind.LIVE)
# A probe of Kubernetes has no key, so the health of the whole worker is told to everybody.
HEALTH_OF_ALL: Final = _health_check(Kind.LIVE, ())
HEALTH_OF_ONE: Final = _health_check(Kind.PAGE, ("service",))
INFER: Final = _infer(streams=False)
STREAM_INFER: Final = _infer(streams=True)
INDEX: Final = Method(
    name="RepositoryIndex",
    request=message_type("inference.RepositoryIndexRequest"),
    page=_page(oip_pages.repository_index, "inference.RepositoryIndexResponse"),
    right=Right.ADMINISTER,
    told=lambda message: {"ready": message.ready},
)
METHODS: Final = (
    LIVE,
    HEALTH_OF_ALL,
    HEALTH_OF_ONE,
    INFER,
    INDEX,
    _of_server("ServerReady", oip_pages.server_ready),
    _of_server("ServerMetadata", oip_pages.server),
    _of_model("ModelReady", oip_pages.model_ready),
    _of_model("ModelMetadata", oip_pages.model),
    _change("RepositoryModelLoad", Kind.LOAD),
    _change("RepositoryModelUnload", Kind.UNLOAD),
)
CALLED: Final = {one.path: one for one in METHODS} | {
    f"/{INFERENCE}/ModelStreamInfer".encode(): STREAM_INFER
}
OPEN: Final = frozenset({LIVE.path, HEALTH_OF_ALL.path})  # that may need no key


def method_for(method: Method, message: Message) -> Method:
    """Return the method that a message is for: a health check that names nothing is for all."""
    if method is HEALTH_OF_ONE and getattr(message, "service", "") in ("", INFERENCE):
        return HEALTH_OF_ALL
    return method
