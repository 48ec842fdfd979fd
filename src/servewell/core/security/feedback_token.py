"""The token of one prediction, with which a browser may say what it thinks of it.

It is made for one endpoint and one prediction id, ends by itself, and gives no other right, so a
page may hold it where it must never hold a key. On the wire: `swf_`, the prediction id, the second
of its end in 8 hex digits, and 32 hex digits of an HMAC-SHA-256 over both and the endpoint.
"""

import hmac
from typing import Final

from servewell.core.security.redaction import token

PREFIX: Final = "swf_"
ID_DIGITS: Final = 32
END_DIGITS: Final = 8
MAC_DIGITS: Final = 32  # 128 bits
LENGTH: Final = len(PREFIX) + ID_DIGITS + END_DIGITS + MAC_DIGITS


def feedback_token(prediction_id: str, *, endpoint: str, until: int, key: bytes) -> str:
    """Return the token of a prediction (32 characters), good until a second since the epoch."""
    told = f"{prediction_id}{until & 0xFFFFFFFF:08x}"
    return f"{PREFIX}{told}{_mac(told, endpoint, key)}"


def token_prediction(token: str, *, endpoint: str, now: float, key: bytes) -> str | None:
    """Return the prediction whose token it is; None where it is not good here, or no more."""
    told = token[len(PREFIX) : -MAC_DIGITS]
    if len(token) != LENGTH or not token.startswith(PREFIX) or not token.isascii():
        return None
    if not hmac.compare_digest(_mac(told, endpoint, key), token[-MAC_DIGITS:]):
        return None
    return told[:ID_DIGITS] if now < int(told[ID_DIGITS:], 16) else None


def _mac(told: str, endpoint: str, key: bytes) -> str:
    return hmac.digest(key, f"feedback\0{endpoint}\0{told}".encode(), "sha256").hex()[:MAC_DIGITS]


def subject_token(subject: str, key: bytes) -> str:
    """Return what stands for a person wherever feedback is kept; empty for nobody."""
    return token(f"subject\0{subject}", key) or "" if subject else ""
