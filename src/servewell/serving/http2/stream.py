"""What a stream of an HTTP/2 connection is to it, and it to the stream."""

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from h2.errors import ErrorCodes
from hpack import NeverIndexedHeaderTuple

from servewell.serving.exchange import Exchange
from servewell.serving.peer import Peer
from servewell.serving.refusals import RequestError
from servewell.serving.requests import KNOWN_HEADERS, LIST_HEADERS, Requests, malformed

HeaderList = list[tuple[bytes, bytes]]

GRPC_TYPE: Final = b"application/grpc"
GRPC_HEADERS: Final = frozenset({b"grpc-accept-encoding", b"grpc-encoding", b"grpc-timeout"})
READ_HEADERS: Final = KNOWN_HEADERS | GRPC_HEADERS
OF_CONNECTIONS: Final = frozenset({b"connection", b"transfer-encoding"})
NOT_IN_VALUES: Final = (b"\r", b"\n", b"\0")
# They differ from answer to answer, so a peer that kept them would keep them for nothing.
OF_ONE_ANSWER: Final = frozenset({b"content-length", b"date", b"servewell-prediction-id"})


class Head(NamedTuple):
    """The headers of one request, understood."""

    method: str
    path: bytes
    headers: dict[bytes, bytes]
    fault: RequestError | None

    @property
    def is_grpc(self) -> bool:
        """Whether it begins a gRPC call. Source: grpc, doc/PROTOCOL-HTTP2.md, Content-Type."""
        kind = self.headers.get(b"content-type", b"")
        rest = kind[len(GRPC_TYPE) :]
        return kind.startswith(GRPC_TYPE) and rest[:1] in (b"", b"+", b";")


def read_head(
    received: Iterable[tuple[bytes, bytes]], sticky: frozenset[bytes] = frozenset()
) -> Head:
    """Return what the headers of a request say; `sticky` are names beyond those always read.

    Source: RFC 9113, sections 8.2 and 8.3.
    """
    headers: dict[bytes, bytes] = {}
    pseudo: dict[bytes, bytes] = {}
    why = ""
    for name, value in received:
        if name[:1] == b":":
            if headers or name in pseudo:
                why = f"`{name[:20]!r}` comes twice, or behind other headers"
            pseudo[name] = value
        elif name in READ_HEADERS:
            if name in headers:
                why = "a header that may come once comes twice"
            headers[name] = value.strip(b" \t")
        elif name in sticky:
            headers[name] = value.strip(b" \t")
        elif name in LIST_HEADERS:
            headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value
    path, method = pseudo.get(b":path", b""), pseudo.get(b":method", b"")
    why = _fault(path, method, headers) or why
    fault = malformed(why, version="2") if why else None
    return Head(method.decode("latin-1"), path, headers, fault)


def _fault(path: bytes, method: bytes, headers: dict[bytes, bytes]) -> str:
    """Return what is wrong with the headers of a request, or nothing."""
    if not (path and method.isalpha()):
        return "it has no `:path` or no `:method`"
    if not headers.keys().isdisjoint(OF_CONNECTIONS):
        return "it has a header that is for connections of HTTP/1.1"
    values = b"".join([path, *headers.values()])
    if any(one in values for one in NOT_IN_VALUES):
        return "a header holds a line break or a zero byte"
    return ""


def header_list(lines: bytes) -> HeaderList:
    """Return header lines, each ended with CRLF, as HTTP/2 sends them."""
    found: HeaderList = []
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        pair = (name.strip().lower(), value.strip())
        if name:
            found.append(NeverIndexedHeaderTuple(*pair) if pair[0] in OF_ONE_ANSWER else pair)
    return found


class Carrier(Protocol):
    """The connection, as a stream needs it. To a stream that is over, nothing is sent."""

    @property
    def peer(self) -> Peer | None:
        """Who it is by the certificate of the connection."""
        ...

    def begin(self, number: int, headers: HeaderList) -> None:
        """Send the headers of an answer."""
        ...

    def send(self, number: int, data: bytes) -> None:
        """Send data, as fast as the caller takes it."""
        ...

    def has_room(self, number: int) -> bool:
        """Whether little waits to be taken; when it is so again, the stream is flushed."""
        ...

    def finish(self, number: int, trailers: HeaderList | None = None) -> None:
        """End the answer when all of it is sent."""
        ...

    def reset(self, number: int, code: ErrorCodes) -> None:
        """End a stream at once."""
        ...

    def hold(self, change: int) -> bool:
        """Count bytes of requests that are not whole; whether the connection may hold them."""
        ...

    def credit(self, number: int, size: int) -> None:
        """Let the caller send so many bytes more."""
        ...


class Stream:
    """One stream. What it has of `Caller` is the same for all."""

    def __init__(self, carrier: Carrier, requests: Requests, number: int) -> None:
        self.carrier = carrier
        self.requests = requests
        self.number = number
        self.whole = False  # the caller sends no more
        self.seconds = 0  # since the caller sent what was awaited

    @property
    def peer(self) -> Peer | None:
        """See `Caller.peer`."""
        return self.carrier.peer

    def begin(self, head: Head) -> None:
        """Begin with the headers."""
        raise NotImplementedError

    def take(self, data: bytes, credit: int) -> None:
        """Take a piece of the body, which cost so much of the caller's window."""
        raise NotImplementedError

    def end(self) -> None:
        """Note that the caller sends no more."""
        raise NotImplementedError

    def leave(self) -> None:
        """Note that the caller has gone."""
        raise NotImplementedError

    def sweep(self) -> None:
        """Let one second pass."""
        raise NotImplementedError

    def flush(self) -> None:
        """See `Caller.flush`."""
        raise NotImplementedError

    def is_last(self, exchange: Exchange) -> bool:
        """See `Caller.is_last`. A connection ends by words of its own."""
        del exchange
        return False

    def abort(self) -> None:
        """See `Caller.abort`."""
        self.carrier.reset(self.number, ErrorCodes.INTERNAL_ERROR)
