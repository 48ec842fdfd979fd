"""The format of an API key: `sw_<11 id><43 secret><6 checksum>`, all base 62.

The prefix lets secret scanners find a leaked key, and the checksum lets anyone refuse a mistyped
one without asking a store. Source: GitHub, "Behind GitHub's new authentication token formats"
(2021), which describes both.
"""

import zlib
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX: Final = "sw_"
ID_LENGTH: Final = 11
SECRET_LENGTH: Final = 43  # 43 base-62 characters hold 256 bits
CHECKSUM_LENGTH: Final = 6
KEY_LENGTH: Final = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH


def format_key(*, id_entropy: bytes, secret_entropy: bytes) -> str:
    """Return the key that these random bytes make; at least 8 bytes for the id, 32 for the rest."""
    public = _base62(int.from_bytes(id_entropy[:8], "big"), ID_LENGTH)
    secret = _base62(int.from_bytes(secret_entropy[:32], "big"), SECRET_LENGTH)
    head = f"{PREFIX}{public}_{secret}"
    return head + _checksum(head)


def key_id(key: str) -> str | None:
    """Return the public id of a key, or None where the text cannot be a key of ours."""
    if len(key) != KEY_LENGTH or not key.startswith(PREFIX) or not key.isascii():
        return None
    if _checksum(key[:-CHECKSUM_LENGTH]) != key[-CHECKSUM_LENGTH:]:
        return None
    return key[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def _checksum(head: str) -> str:
    return _base62(zlib.crc32(head.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
