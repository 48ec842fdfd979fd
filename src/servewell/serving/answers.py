"""HTTP/1.1 answers."""

from http import HTTPStatus
from typing import Final

CLOSE: Final = b"connection: close\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

STATUS_LINES: Final = {
    one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus
}


def http_answer(status: int, headers: bytes, body: bytes, *, close: bool, bodiless: bool) -> bytes:
    """Return a whole answer; `bodiless` leaves the body out, as an answer to HEAD has to."""
    return b"".join(
        (
            STATUS_LINES[status],
            headers,
            CLOSE if close else b"",
            b"content-length: %d\r\n\r\n" % len(body),
            b"" if bodiless else body,
        )
    )
