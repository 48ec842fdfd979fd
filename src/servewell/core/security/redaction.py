"""What may be stored of a value that is marked personal."""

import hmac
from typing import Final

TOKEN_LENGTH: Final = 32  # hex characters: 128 bits


def token(value: object, key: bytes) -> str | None:
    """Return the token that stands for a personal value wherever it is kept.

    The same value gives the same token under one key, so records can still be counted and joined;
    without the key neither guessing nor a dictionary recovers it. A missing value stays missing.
    """
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    return hmac.digest(key, text.encode(), "sha256").hex()[:TOKEN_LENGTH]
