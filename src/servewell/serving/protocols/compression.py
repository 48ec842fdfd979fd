"""Bodies that come compressed.

Source: RFC 9110, section 8.4.1; `deflate` is the zlib format.
"""

import zlib
from typing import Final

from servewell.serving.protocols.dialect import Headers
from servewell.serving.refusals import BodyMalformedError, BodyTooLargeError, ContentRefusedError

WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": zlib.MAX_WBITS}


def inflated(body: bytes, headers: Headers, *, bytes_max: int) -> bytes:
    """Return a body as it was before its `Content-Encoding`, if it has at most `bytes_max` bytes.

    Never more than that is held: what would inflate to more is not inflated to its end.

    Raises: ContentRefusedError, BodyMalformedError, BodyTooLargeError.
    """
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding in (b"", b"identity"):
        return body
    window = WINDOWS.get(encoding)
    if window is None:
        raise ContentRefusedError(
            "The body is compressed in a way that is not read here.",
            why="`Content-Encoding` may be `gzip` or `deflate`",
            fix="compress it with one of those, or send it as it is",
        )
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise _damaged(f"it is no {encoding.decode()} ({error})") from None
    if len(plain) > bytes_max:
        raise BodyTooLargeError(
            "The body is too large.",
            why=f"the endpoint takes at most {bytes_max} bytes, compressed or not",
            fix="send fewer rows at a time, or raise `endpoint.body_bytes_max` in the workload",
        )
    if not stream.eof or stream.unused_data:
        raise _damaged("it is cut off, or something follows its end")
    return plain


def _damaged(why: str) -> BodyMalformedError:
    return BodyMalformedError(
        "The compressed body cannot be read.",
        why=why,
        fix="send it again, or without `Content-Encoding`",
    )
