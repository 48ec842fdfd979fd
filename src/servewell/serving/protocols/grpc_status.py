"""What gRPC calls an error.

Source: grpc, doc/statuscodes.md; doc/PROTOCOL-HTTP2.md, "Responses".
"""

from enum import IntEnum
from typing import Final
from urllib.parse import quote

from servewell.serving.refusals import PathUnknownError, RequestError

MESSAGE_BYTES_MAX: Final = 4_000  # clients give up on headers of more than 8 KiB
# Printable ASCII but for the percent sign travels as it is.
PLAIN: Final = "".join(chr(one) for one in range(0x20, 0x7F) if chr(one) != "%")


class GrpcStatus(IntEnum):
    """The status codes that are used here."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


OF_HTTP: Final = {
    400: GrpcStatus.INVALID_ARGUMENT,
    401: GrpcStatus.UNAUTHENTICATED,
    403: GrpcStatus.PERMISSION_DENIED,
    404: GrpcStatus.NOT_FOUND,
    405: GrpcStatus.UNIMPLEMENTED,
    408: GrpcStatus.DEADLINE_EXCEEDED,
    413: GrpcStatus.RESOURCE_EXHAUSTED,
    415: GrpcStatus.UNIMPLEMENTED,
    429: GrpcStatus.RESOURCE_EXHAUSTED,
    431: GrpcStatus.RESOURCE_EXHAUSTED,
    499: GrpcStatus.CANCELLED,
    500: GrpcStatus.INTERNAL,
    501: GrpcStatus.UNIMPLEMENTED,
    503: GrpcStatus.UNAVAILABLE,
    504: GrpcStatus.DEADLINE_EXCEEDED,
}


def grpc_status(error: RequestError, status: int) -> GrpcStatus:
    """Return the status of an error that HTTP gives `status`."""
    if error.code == PathUnknownError.code:  # a method, in the words of gRPC
        return GrpcStatus.UNIMPLEMENTED
    return OF_HTTP.get(status, GrpcStatus.INTERNAL)


def status_lines(error: RequestError, status: int) -> bytes:
    """Return the header lines, each ended with CRLF, that tell of an error."""
    return b"grpc-status: %d\r\ngrpc-message: %b\r\nservewell-code: %b\r\n" % (
        grpc_status(error, status),
        _message(error.sentence),
        error.code.encode(),
    )


def _message(sentence: str) -> bytes:
    """Return a sentence percent-encoded, cut where it is too long, never within a character."""
    cut = sentence.encode()[:MESSAGE_BYTES_MAX].decode(errors="ignore")
    encoded = quote(cut, safe=PLAIN)
    while len(encoded) > MESSAGE_BYTES_MAX:
        cut = cut[: len(cut) * MESSAGE_BYTES_MAX // len(encoded)]
        encoded = quote(cut, safe=PLAIN)
    return encoded.encode()
