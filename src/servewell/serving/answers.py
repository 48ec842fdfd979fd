"""HTTP answers: heads, and the JSON that says why a request is refused."""

from http import HTTPStatus
from typing import Final

import msgspec

from servewell.errors import ServewellError
from servewell.serving.protocols.faults import SignatureError
from servewell.serving.refusals import HEADERS, STATUS, MethodRefusedError

JSON: Final = b"content-type: application/json\r\n"
CLOSE: Final = b"connection: close\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

STATUS_LINES: Final = {
    one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus
}


def http_answer(status: int, headers: bytes, body: bytes, *, close: bool, bodiless: bool) -> bytes:
    """Return a whole answer; `bodiless` leaves the body out, as an answer to HEAD has to."""
    return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (
        STATUS_LINES[status],
        headers,
        CLOSE if close else b"",
        len(body),
        b"" if bodiless else body,
    )


def refusal(error: ServewellError) -> tuple[int, bytes, bytes]:
    """Return the status, headers and body that tell a caller of an error."""
    headers = JSON + HEADERS.get(error.code, b"")
    told: dict[str, object] = {"error": sentence(error), "code": error.code}
    if isinstance(error, MethodRefusedError):
        headers += b"allow: %b\r\n" % error.allowed.encode()
    if isinstance(error, SignatureError):
        told["faults"] = error.faults
    return STATUS[error.code], headers, msgspec.json.encode(told)


def sentence(error: ServewellError) -> str:
    """Return an error in one line: what, why, and what to do next."""
    return f"{error.what} Because: {error.why}. Next: {error.fix}."
