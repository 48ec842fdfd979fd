"""The seal of a file of the home: it is whole, and was written with the key of this home.

A sealed file is one line, `MAGIC SHA256 SIGNATURE`, and then its content. The line is checked
before a byte of the content is read.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

SEAL_WORDS: Final = 2  # after the magic: checksum and signature


class SealBrokenError(Exception):
    """A file is not whole, or not ours; the message says which."""


def sealed(magic: bytes, body: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the bytes of a file with this content, signed by `sign`."""
    digest = hashlib.sha256(body).hexdigest().encode()
    return b" ".join((magic, digest, base64.b64encode(sign(body)))) + b"\n" + body


def unsealed(magic: bytes, data: bytes, verify: Callable[[bytes, bytes], bool]) -> bytes:
    """Return the content of a file; `verify(body, signature)` says whether it is ours.

    Raises: SealBrokenError.
    """
    line, _, body = data.partition(b"\n")
    words = line.removeprefix(magic + b" ").split(b" ")
    if not line.startswith(magic + b" ") or len(words) != SEAL_WORDS:
        raise SealBrokenError(f"its first line is not the seal of a {magic.decode().split()[0]}")
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), words[0]):
        raise SealBrokenError("its checksum does not match its content")
    if not _genuine(body, words[1], verify):
        raise SealBrokenError("its signature was not made with the key of this home")
    return body


def _genuine(body: bytes, text: bytes, verify: Callable[[bytes, bytes], bool]) -> bool:
    """Whether `text` is our signature, written as `sealed` does it: base 64 has other ways."""
    try:
        signature = base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return base64.b64encode(signature) == text and verify(body, signature)
