"""Bodies that come compressed, and answers that go compressed.

Source: RFC 9110, sections 8.4.1 and 12.5.3; `deflate` is the zlib format.
"""

import zlib
from functools import lru_cache
from typing import Final

from servewell.serving.protocols.dialect import Headers
from servewell.serving.refusals import BodyMalformedError, BodyTooLargeError, ContentRefusedError

WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": zlib.MAX_WBITS}
OFFERED: Final = (b"gzip", b"deflate")  # for answers; of two that a caller likes alike, the first
WORTH_BYTES: Final = 1_024  # of an answer; less gains nothing
LEVEL: Final = 1  # a higher one takes several times as long for a tenth less


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


def compressed(body: bytes, accept: bytes) -> tuple[bytes, bytes]:
    """Return the header lines and the body of an answer, compressed if `accept` asks for it.

    `accept` is the header `Accept-Encoding` of the request.
    """
    encoding = _chosen(accept)
    if not encoding:
        return b"", body
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOWS[encoding])
    lines = b"content-encoding: %b\r\nvary: accept-encoding\r\n" % encoding
    return lines, stream.compress(body) + stream.flush()


@lru_cache(64)  # clients of one kind send one header
def _chosen(accept: bytes) -> bytes:
    """Return the coding that the caller likes best of those offered; empty for none."""
    weights: dict[bytes, float] = {}
    for part in accept.lower().split(b","):
        name, _, weight = part.partition(b";")
        weights[name.strip()] = _weight(weight)
    liked = {one: weights.get(one, weights.get(b"*", 0.0)) for one in OFFERED}
    best = max(OFFERED, key=lambda one: liked[one])
    return best if liked[best] > 0 else b""


def _weight(text: bytes) -> float:
    """Return the weight `q=…` of a coding: 1 without one, 0 where it is no number."""
    name, _, value = text.partition(b"=")
    if not name.strip():
        return 1.0
    try:
        return float(value) if name.strip() == b"q" else 0.0
    except ValueError:
        return 0.0


def _damaged(why: str) -> BodyMalformedError:
    return BodyMalformedError(
        "The compressed body cannot be read.",
        why=why,
        fix="send it again, or without `Content-Encoding`",
    )
