"""Heads of requests that were read before.

A program that calls an endpoint sends the same head each time, byte for byte, but for the length
of its body. The parser would read the same from the same bytes, so what it read is kept. Whether
the request may go on is decided anew each time.
"""

from typing import Final, NamedTuple

HEAD_END: Final = b"\r\n\r\n"
HEADS_MAX: Final = 2_048
# With one of these, the head alone does not say where the request ends and what follows it.
NOT_PLAIN: Final = frozenset({b"connection", b"expect", b"transfer-encoding"})


class Head(NamedTuple):
    """What the parser read from one head."""

    method: str
    url: bytes
    headers: dict[bytes, bytes]
    body_bytes: int


class Heads:
    """Heads by their bytes, for all connections of a worker."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def clear(self) -> None:
        """Forget them: the parser would read other headers now than it did then."""
        self._known.clear()

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """Return the head of a request that these bytes are all of, and its body."""
        text, ended, body = data.partition(HEAD_END)
        head = self._known.get(text)
        if head is None or not ended or len(body) != head.body_bytes:
            return None
        return head, body

    def keep(self, data: bytes, *, method: str, url: bytes, headers: dict[bytes, bytes]) -> None:
        """Keep the head of a request that was read from these bytes, if they are all of it."""
        end = data.find(HEAD_END) + len(HEAD_END)
        body_bytes = int(headers.get(b"content-length", b"-1"))
        if body_bytes != len(data) - end or not headers.keys().isdisjoint(NOT_PLAIN):
            return
        if len(self._known) >= HEADS_MAX:
            self._known.clear()
        self._known[data[: end - len(HEAD_END)]] = Head(method, url, headers, body_bytes)
