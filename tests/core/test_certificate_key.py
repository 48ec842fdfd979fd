"""Decisions on keys for which a client certificate stands."""

from dataclasses import replace

import pytest

from servewell.core.catalog.key import ApiKey
from servewell.core.security.access import grants_at
from servewell.core.security.key_change import (
    CertificateTakenError,
    KeyRequest,
    NothingToRotateError,
    decide_create,
    decide_revoke,
    decide_rotate,
)

NOW = 1_000.0
WANTED = KeyRequest(principal="site", certificate="spiffe://example.org/site", lifetime_s=60.0)


def made(*others: ApiKey, now: float = NOW) -> ApiKey:
    """Return the key of one certificate, beside others."""
    return decide_create(WANTED, key_id="a", digest="d", now=now, others=others).keys[0]


def test_it_has_no_secret() -> None:
    """Nothing that a caller could send opens anything; the identity travels to the workers."""
    key = made()
    assert key.digest == ""
    assert grants_at((key,), NOW)[0].certificate == WANTED.certificate


def test_an_identity_stands_for_one_key_at_a_time() -> None:
    """A second is refused while the first is good, and not once it was revoked or has ended."""
    first = made()
    with pytest.raises(CertificateTakenError, match="servewell keys revoke a"):
        made(first)
    assert made(*decide_revoke(first, now=NOW).keys)
    assert made(first, now=NOW + 60)
    assert made(replace(first, certificate="spiffe://example.org/other"))


def test_it_cannot_be_rotated() -> None:
    """There is no secret to replace."""
    with pytest.raises(NothingToRotateError):
        decide_rotate(made(), key_id="b", digest="d", now=NOW, overlap_s=1.0)
