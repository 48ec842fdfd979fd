"""What goes by on an HTTP/2 connection, before it is parsed.

`h2` takes every frame that is allowed, and holds back a whole frame of any length. Here frames are
counted by their heads alone: one that is longer than was agreed, or one too many in a second of
those that cost work and carry nothing, ends the connection.

Source: RFC 9113, sections 4.1 and 10.5; CVE-2019-9512, 9514, 9515, 9518; CVE-2023-44487.
"""

from typing import Final

from h2.errors import ErrorCodes

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
FRAME_BYTES_MAX: Final = 16_384  # what a peer may send that was told of no other limit

DATA: Final = 0
# Frames of one second, by their type; `OTHER_MAX` of each that is not known.
PER_SECOND: Final = {
    2: 1_000,  # PRIORITY
    3: 200,  # RST_STREAM: calls begun and given up
    4: 50,  # SETTINGS
    6: 1_000,  # PING
    8: 50_000,  # WINDOW_UPDATE
    9: 500,  # CONTINUATION
}
HEADERS: Final = 1
OTHER_MAX: Final = 100
EMPTY_DATA_MAX: Final = 1_000
END_STREAM: Final = 1


class FloodError(Exception):
    """A peer sends what no client has reason to send."""

    def __init__(self, code: ErrorCodes) -> None:
        super().__init__(code.name)
        self.code = code


class FrameWatch:
    """Follows the frames of one connection from their first byte after the preface."""

    def __init__(self) -> None:
        self._head = b""  # of a frame, as far as it is here
        self._left = 0  # bytes of the frame that are still to come
        self._counts: dict[int, int] = {}

    def second(self) -> None:
        """Let one second pass."""
        self._counts.clear()

    def feed(self, data: bytes) -> None:
        """Follow the frames in what has come.

        Raises: FloodError.
        """
        place, size = self._left, len(data)
        if place > size:
            self._left -= size
            return
        while True:
            head = self._head + data[place : place + HEAD_BYTES - len(self._head)]
            if len(head) < HEAD_BYTES:
                self._head, self._left = head, 0
                return
            place += HEAD_BYTES - len(self._head)
            self._head = b""
            length = int.from_bytes(head[:3], "big")
            self._count(head[3], head[4], length)
            place += length
            if place > size:
                self._left = place - size
                return

    def _count(self, kind: int, flags: int, length: int) -> None:
        if length > FRAME_BYTES_MAX:
            raise FloodError(ErrorCodes.FRAME_SIZE_ERROR)
        if kind == HEADERS or (kind == DATA and (length or flags & END_STREAM)):
            return
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        most = EMPTY_DATA_MAX if kind == DATA else PER_SECOND.get(kind, OTHER_MAX)
        if count > most:
            raise FloodError(ErrorCodes.ENHANCE_YOUR_CALM)
