"""Who calls: by a key, or by the certificate of the connection.

A request with a key is its key's, whoever's connection it comes on; one without is its
certificate's. A certificate that was shown has to be good all the same: a caller that keeps a
connection open has no longer than its certificate says.
"""

import base64
import binascii
import hmac
from typing import Final

from servewell.core.catalog.key import Grant
from servewell.core.security.access import key_digest
from servewell.core.security.api_key import key_id
from servewell.serving.peer import Peer
from servewell.serving.refusals import (
    CertificateExpiredError,
    CertificateUnknownError,
    KeyExpiredError,
    NotAuthenticatedError,
)

VERIFIED_MAX: Final = 4_096  # keys remembered as verified
SCHEME: Final = b"bearer "
BASIC: Final = b"basic "  # of clients that know no other: the key is the password
KEY_HEADERS: Final = (b"authorization", b"x-api-key")
SEND_A_KEY: Final = "send `Authorization: Bearer KEY`; `servewell keys create` makes a key"


class Gatekeeper:
    """Knows the keys of one snapshot. What it has verified it remembers as long as that."""

    def __init__(self, grants: dict[str, Grant], pepper: bytes) -> None:
        self._grants = grants
        self._pepper = pepper
        self._verified: dict[bytes, Grant] = {}
        self._of_certificates = {one.certificate: one for one in grants.values() if one.certificate}

    def grant(self, headers: dict[bytes, bytes], now: float, peer: Peer | None = None) -> Grant:
        """Return what the key of a request gives, or the certificate; `now` in epoch seconds.

        Raises: NotAuthenticatedError, KeyExpiredError, CertificateExpiredError,
        CertificateUnknownError.
        """
        if peer is None:
            key = _key_of(headers)
            grant = self._verified.get(key) or self._verify(key)
        else:
            grant = self._of_peer(peer, headers, now)
        if grant.expires_at is not None and now >= grant.expires_at:
            raise KeyExpiredError(
                "The key has expired.",
                why="a key is good until the time that was set when it was made",
                fix="`servewell keys rotate` makes another",
            )
        return grant

    def _of_peer(self, peer: Peer, headers: dict[bytes, bytes], now: float) -> Grant:
        if now >= peer.not_after:
            raise CertificateExpiredError(
                "The certificate of this connection has expired.",
                why="it was good when the connection was opened, and is no longer",
                fix="open another connection, with a certificate that is good",
            )
        if not headers.keys().isdisjoint(KEY_HEADERS):
            key = _key_of(headers)
            return self._verified.get(key) or self._verify(key)
        grant = self._of_certificates.get(peer.identity)
        if grant is None:
            raise CertificateUnknownError(
                "The certificate of this connection gives no right here.",
                why="it is good, and its identity was given none, or had it revoked",
                fix=f"`servewell keys create NAME --certificate {peer.identity}` gives it one; or "
                "send a key",
            )
        return grant

    def _verify(self, key: bytes) -> Grant:
        text = key.decode("latin-1")
        grant = self._grants.get(key_id(text) or "")
        digest = key_digest(text, self._pepper)
        if grant is None or not hmac.compare_digest(digest, grant.digest):
            raise _unauthenticated("the key is not one of this home, or it was revoked")
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        self._verified[key] = grant
        return grant


def _key_of(headers: dict[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization")
    if authorization is None:
        key = headers.get(b"x-api-key")
        if key is None:
            raise _unauthenticated("the request carries no key")
        return key
    if authorization[:6].lower() == BASIC:
        return _password_of(authorization[6:])
    if authorization[:7].lower() != SCHEME:
        raise _unauthenticated("the header `Authorization` does not say `Bearer`")
    return authorization[7:].strip()


def _password_of(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        raise _unauthenticated(
            "the header `Authorization` says `Basic` and no name and key"
        ) from None


def _unauthenticated(why: str) -> NotAuthenticatedError:
    return NotAuthenticatedError("The request is not authenticated.", why=why, fix=SEND_A_KEY)
