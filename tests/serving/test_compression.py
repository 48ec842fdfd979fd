"""Bodies that come compressed, and answers that go compressed."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.serving.protocols.compression import compressed, inflated
from servewell.serving.refusals import (
    BodyMalformedError,
    BodyTooLargeError,
    ContentRefusedError,
    RequestError,
)

MOST = 4_096


@given(st.binary(max_size=MOST), st.sampled_from(["gzip", "deflate"]))
def test_what_was_compressed_is_read_back(body: bytes, coding: str) -> None:
    """An answer inflates to what it was, by the coding that it names."""
    lines, small = compressed(body, coding.encode())
    assert lines == f"content-encoding: {coding}\r\nvary: accept-encoding\r\n".encode()
    assert (gzip.decompress if coding == "gzip" else zlib.decompress)(small) == body
    assert inflated(small, {b"content-encoding": coding.encode()}, bytes_max=MOST) == body


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"deflate, gzip", b"gzip"),
        (b"GZIP;Q=0.2, deflate;q=0.3", b"deflate"),
        (b"br;q=1.0, gzip; q=0.8, *;q=0.1", b"gzip"),
        (b"*", b"gzip"),
        (b"gzip;q=0, *", b"deflate"),
        (b"identity", b""),
        (b"gzip;q=0", b""),
        (b"*;q=0", b""),
        (b"", b""),
        (b"gzip;q=much", b""),
        (b"gzip;level=9", b""),
        (b",;,=", b""),
        (b"\xff\xfe", b""),
    ],
)
def test_the_caller_says_which_coding_it_likes(accept: bytes, coding: bytes) -> None:
    """Weights and the asterisk count (RFC 9110, 12.5.3); what is unclear asks for nothing."""
    lines, body = compressed(b"x" * MOST, accept)
    assert lines.startswith(b"content-encoding: %b\r\n" % coding) if coding else lines == b""
    assert (len(body) < MOST) == bool(coding)


@given(st.binary(max_size=50))
def test_no_wish_breaks_an_answer(accept: bytes) -> None:
    """Whatever the header holds, the body is whole."""
    lines, body = compressed(b"x" * 100, accept)
    coding = lines.partition(b": ")[2].partition(b"\r")[0]
    assert inflated(body, {b"content-encoding": coding}, bytes_max=MOST) == b"x" * 100


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"deflate", b" GZip "])
def test_a_body_is_never_inflated_beyond_its_limit(coding: bytes) -> None:
    """A small body that holds a large one is refused, however large it would become."""
    shrink = zlib.compress if b"deflate" in coding else gzip.compress
    headers = {b"content-encoding": coding}
    assert inflated(shrink(b"0" * MOST), headers, bytes_max=MOST) == b"0" * MOST
    for size in (MOST + 1, 50 << 20):
        with pytest.raises(BodyTooLargeError):
            inflated(shrink(b"0" * size), headers, bytes_max=MOST)


@pytest.mark.parametrize(
    ("coding", "body", "error"),
    [
        (b"gzip", gzip.compress(b"abc")[:-1], BodyMalformedError),
        (b"gzip", gzip.compress(b"abc") + b"more", BodyMalformedError),
        (b"gzip", zlib.compress(b"abc"), BodyMalformedError),
        (b"deflate", b"abc", BodyMalformedError),
        (b"gzip", b"", BodyMalformedError),
        (b"br", b"abc", ContentRefusedError),
        (b"gzip, gzip", gzip.compress(gzip.compress(b"abc")), ContentRefusedError),
    ],
    ids=["cut", "more", "other", "plain", "empty", "unknown", "twice"],
)
def test_what_cannot_be_inflated_is_refused(
    coding: bytes, body: bytes, error: type[RequestError]
) -> None:
    """Cut off, extended, mislabelled and unknown bodies each get a refusal."""
    with pytest.raises(error):
        inflated(body, {b"content-encoding": coding}, bytes_max=MOST)


def test_a_body_without_a_coding_is_as_it_is() -> None:
    """Nothing is done where nothing is said."""
    for headers in ({}, {b"content-encoding": b"identity"}, {b"content-encoding": b""}):
        assert inflated(b"abc", headers, bytes_max=1) == b"abc"
