"""What every connection holds its callers to, whichever version of HTTP it speaks."""

from typing import Final, Protocol

from servewell.serving.exchange import Exchange
from servewell.serving.refusals import (
    BodyTooLargeError,
    ConnectionFullError,
    HeadTooLargeError,
    MalformedHttpError,
    RequestTooSlowError,
)

HEAD_BYTES_MAX: Final = 16 << 10
HEAD_S: Final = 10
BODY_S: Final = 30
IDLE_S: Final = 75
LINGER_S: Final = 2
STUCK_S: Final = 30  # a caller that reads nothing
WRITE_BUFFER_BYTES: Final = 256 << 10

# Headers that mean something here. Each may come once.
KNOWN_HEADERS: Final = frozenset(
    {
        b"authorization", b"azureml-model-deployment", b"ce-id", b"ce-source", b"ce-specversion",
        b"ce-type", b"connection", b"content-encoding", b"content-length", b"content-type",
        b"expect", b"host", b"inference-header-content-length", b"servewell-deployment",
        b"servewell-priority", b"servewell-timeout-ms", b"traceid", b"traceparent",
        b"transfer-encoding", b"x-api-key", b"x-envoy-expected-rq-timeout-ms",
        b"x-ms-client-request-id", b"x-ms-request-id", b"x-request-id",
    }
)  # fmt: skip
# Headers that are lists: one that comes again goes on with the list (RFC 9110, 5.3).
LIST_HEADERS: Final = frozenset({b"accept", b"accept-encoding", b"tracestate"})


class Requests(Protocol):
    """Where requests go."""

    more_headers: frozenset[bytes]  # more headers that mean something here, while they do

    def open(self, exchange: Exchange) -> None:
        """Decide by the headers whether the request may go on; a refusal stands in `error`."""
        ...

    def know(self, exchange: Exchange) -> None:
        """Decide by the key alone, where only the body says what is asked for, and of whom."""
        ...

    def body_bytes_max(self, exchange: Exchange) -> int:
        """Return the most bytes that the body may have."""
        ...

    def body_bytes_most(self) -> int:
        """Return the most bytes that a body may have, whatever endpoint it is for."""
        ...

    def submit(self, exchange: Exchange, body: bytes) -> None:
        """Take a request that has arrived whole to its answer."""
        ...


def malformed(why: str, *, version: str = "1.1") -> MalformedHttpError:
    """Return the error of bytes that are no request."""
    return MalformedHttpError(
        f"The request is not well-formed HTTP/{version}.",
        why=why,
        fix="send it with an HTTP library",
    )


def head_too_large() -> HeadTooLargeError:
    """Return the error of headers that are more than is read."""
    return HeadTooLargeError(
        "The headers are too large.",
        why=f"the request line and headers may take {HEAD_BYTES_MAX} bytes",
        fix="send fewer or shorter headers",
    )


def body_too_large(bytes_max: int) -> BodyTooLargeError:
    """Return the error of a body that is more than an endpoint takes."""
    return BodyTooLargeError(
        "The body is too large.",
        why=f"the endpoint takes at most {bytes_max} bytes",
        fix="send fewer rows at a time, or raise `endpoint.body_bytes_max` in the workload",
    )


def connection_full() -> ConnectionFullError:
    """Return the error of a connection that holds more than a worker keeps for one."""
    return ConnectionFullError(
        "The connection holds too much that is not whole.",
        why="the requests on it were begun faster than they are sent",
        fix="send fewer large requests at a time, or open another connection",
    )


def too_slow(part: str, seconds: int) -> RequestTooSlowError:
    """Return the error of a request that does not arrive."""
    return RequestTooSlowError(
        "The request came too slowly.",
        why=f"its {part} has to be here within {seconds} seconds",
        fix="send it again, over a better line or in smaller parts",
    )
