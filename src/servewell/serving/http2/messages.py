"""Messages in the bytes of a gRPC call: a flag, four bytes of length, then the message.

Source: grpc, doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"; doc/compression.md.
"""

from typing import Final

from servewell.serving.http2.stream import HeaderList
from servewell.serving.protocols.compression import WORTH_BYTES, compressed, inflated
from servewell.serving.protocols.dialect import Headers
from servewell.serving.refusals import ContentRefusedError, GrpcFramingError
from servewell.serving.requests import body_too_large

PREFIX_BYTES: Final = 5
PLAIN: Final = b"identity"
CODINGS: Final = frozenset({b"gzip", b"deflate"})


class MessageReader:
    """Takes the bytes of a call, and gives its messages."""

    def __init__(self, coding: bytes, *, bytes_max: int) -> None:
        self._coding = coding
        self._bytes_max = bytes_max
        self._data = bytearray()

    @property
    def held(self) -> int:
        """Bytes of messages that are not whole, or were not asked for."""
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._data += data

    def next(self) -> bytes | None:
        """Return the next message, or None where it is not whole.

        Raises: BodyTooLargeError, GrpcFramingError, BodyMalformedError.
        """
        data = self._data
        if len(data) < PREFIX_BYTES:
            return None
        size = int.from_bytes(data[1:PREFIX_BYTES], "big")
        if size > self._bytes_max:
            raise body_too_large(self._bytes_max)
        end = PREFIX_BYTES + size
        if len(data) < end:
            return None
        flag, message = data[0], bytes(data[PREFIX_BYTES:end])
        del data[:end]
        return self._plain(message) if flag == 1 else _unflagged(flag, message)

    def clear(self) -> None:
        """Forget what was not read."""
        self._data = bytearray()

    def _plain(self, message: bytes) -> bytes:
        if self._coding == PLAIN:
            raise framing_fault("a message is compressed, and no `grpc-encoding` says how")
        return inflated(message, {b"content-encoding": self._coding}, bytes_max=self._bytes_max)


class MessageWriter:
    """Puts the messages of an answer into their frames, compressed as the caller's were."""

    def __init__(self, headers: Headers) -> None:
        accepted = headers.get(b"grpc-accept-encoding", b"").replace(b" ", b"").split(b",")
        coding = coding_of(headers)
        self._coding = coding if coding in accepted and coding in CODINGS else PLAIN

    @property
    def headers(self) -> HeaderList:
        """The header of the answer that says how its messages are compressed."""
        return [] if self._coding == PLAIN else [(b"grpc-encoding", self._coding)]

    def framed(self, message: bytes) -> bytes:
        """Return a message as it is sent."""
        flag = 0
        if self._coding != PLAIN and len(message) >= WORTH_BYTES:
            flag, message = 1, compressed(message, self._coding)[1]
        return b"%c%b%b" % (flag, len(message).to_bytes(4, "big"), message)


def coding_of(headers: Headers) -> bytes:
    """Return how the messages of a call are compressed, where they are."""
    return headers.get(b"grpc-encoding", PLAIN)


def check_coding(headers: Headers) -> None:
    """Refuse a way of compression that is not read here.

    Raises: ContentRefusedError.
    """
    if coding_of(headers) not in CODINGS | {PLAIN}:
        raise ContentRefusedError(
            "The messages are compressed in a way that is not read here.",
            why="`grpc-encoding` may be `gzip`, `deflate` or `identity`",
            fix="compress them with one of those, or send them as they are",
        )


def framing_fault(why: str) -> GrpcFramingError:
    """Return the error of bytes that are not the messages of a call."""
    return GrpcFramingError(
        "The bytes of the call are not the messages that it takes.",
        why=why,
        fix="call it with a gRPC library",
    )


def _unflagged(flag: int, message: bytes) -> bytes:
    if flag:
        raise framing_fault(f"the flag before a message is {flag}, and has to be 0 or 1")
    return message
