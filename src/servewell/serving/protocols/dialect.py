"""What a protocol is to the request path.

A protocol reads requests into columns, writes outputs and refusals, and says which paths it has.
It never sees a key, a snapshot or a model: what it may tell is handed to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import msgspec

from servewell.core.catalog.feedback import FeedbackPolicy
from servewell.core.catalog.key import Right
from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.refusals import RequestError

Headers = Mapping[bytes, bytes]  # names in lower case
Reply = tuple[int, bytes, bytes]  # status, header lines that each end with CRLF, body


class Deployed(Protocol):
    """A deployment, as far as an answer tells of it."""

    @property
    def endpoint(self) -> str:
        """Name of its endpoint."""
        ...

    @property
    def name(self) -> str:
        """Its own name."""
        ...

    @property
    def version(self) -> str:
        """Number of the model version that it serves."""
        ...

    @property
    def head(self) -> bytes:
        """Header lines that name deployment and version, each ended with CRLF."""
        ...

    @property
    def signature(self) -> Signature:
        """What its model takes and gives."""
        ...


class Answerable(Protocol):
    """One request, as far as its answer tells of it."""

    @property
    def headers(self) -> Headers:
        """Headers of the request that mean something here."""
        ...

    @property
    def prediction_id(self) -> str:
        """Id of the prediction; empty where the caller is not known."""
        ...

    @property
    def time_ns(self) -> int:
        """When the request came, in nanoseconds since the epoch, UTC."""
        ...

    @property
    def infer_ns(self) -> int:
        """Nanoseconds that the model took, 0 where it did not run."""
        ...

    @property
    def served(self) -> Deployed | None:
        """The deployment that answers; None where none was chosen."""
        ...

    @property
    def decoded(self) -> Decoded | None:
        """What the request holds; None where it was not read."""
        ...

    @property
    def outputs(self) -> list[OutputTensor]:
        """The outputs asked for, in the order of the signature."""
        ...


class Reader(Protocol):
    """Reads the prediction requests of one signature."""

    def decode(self, body: object, *, headers: Headers, rows_max: int) -> Decoded:
        """Return the rows of a request; `body` is bytes, or what the connection made of them.

        Raises: ContentRefusedError, BodyMalformedError, SignatureError.
        """
        ...


class Dialect(Protocol):
    """One protocol. It keeps nothing between requests."""

    @property
    def name(self) -> str:
        """What it is called in metrics and records."""
        ...

    def reader(self, signature: Signature) -> Reader:
        """Return what reads the requests of a signature; made once, when a model is loaded."""
        ...

    def answer(self, one: Answerable) -> tuple[bytes, bytes]:
        """Return headers and body of an answer with predictions."""
        ...

    def refuse(self, one: Answerable, error: RequestError, status: int) -> Reply:
        """Return the answer that tells of an error; `status` is what HTTP calls it."""
        ...


class Kind(Enum):
    """What a path asks for."""

    LIVE = "live"  # whether the worker lives: alone needs no key
    INFER = "infer"
    PAGE = "page"  # something to read
    LOAD = "load"  # the models of an endpoint
    UNLOAD = "unload"
    STOP = "stop"  # an endpoint, in an emergency
    RESUME = "resume"
    METRICS = "metrics"
    FEEDBACK = "feedback"  # what somebody says of an answer
    SCRIPT = "script"  # the component that asks for feedback: like LIVE, it needs no key


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """An endpoint, as far as a page tells of it."""

    name: str
    ready: bool
    versions: list[str]  # that are live, oldest first
    deployments: dict[str, str] = field(default_factory=dict)  # name -> version
    # Of the deployment that was asked for by version or name, else of the one with most traffic;
    # None where it is not loaded.
    signature: Signature | None = None
    loaded: bool = True  # False where somebody unloaded it
    feedback: FeedbackPolicy | None = None  # None where it takes none


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page may tell of."""

    url: bytes
    headers: Headers
    body: bytes
    release: str  # of Servewell
    ready: bool  # whether this worker takes requests and each endpoint can answer
    endpoint: EndpointView | None  # that the path names; pages of an endpoint always have it
    endpoints: tuple[EndpointView, ...]  # that the key reaches
    message: object = None  # what the connection made of the body, where it reads bodies


Page = Callable[[View], Reply]


class Route(msgspec.Struct, frozen=True, gc=False):
    """A path, understood."""

    kind: Kind
    dialect: Dialect
    # Of `Kind.PAGE`; of `LOAD` and `UNLOAD` what they are answered with once they are done; of
    # `INFER` what OPTIONS is answered with.
    page: Page | None = None
    methods: tuple[str, ...] = ("GET",)
    right: Right = Right.READ
    of_endpoint: bool = True  # else of the whole worker
    endpoint: str = ""  # as the caller wrote it; empty stands for the only one that the key reaches
    version: str = ""
