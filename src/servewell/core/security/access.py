"""Who may do what: the decision on one request."""

import hmac

from servewell.core.catalog.key import EVERY_ENDPOINT, RIGHTS, ApiKey, Grant, Right


def key_digest(key: str, pepper: bytes) -> str:
    """Return what is stored of a key: HMAC-SHA-256 under the pepper, hex.

    Keys carry 256 random bits, so a slow hash would protect nothing and cost each request.
    """
    return hmac.digest(pepper, key.encode(), "sha256").hex()


def allows(grant: Grant, right: Right, endpoint: str) -> bool:
    """Whether the key may do this at this endpoint. Expiry is checked where the time is known."""
    reaches = EVERY_ENDPOINT in grant.endpoints or endpoint in grant.endpoints
    return reaches and right in RIGHTS[grant.role]


def grants_at(keys: tuple[ApiKey, ...], now: float) -> tuple[Grant, ...]:
    """Return the grants of the keys that are neither revoked nor past `now` (epoch seconds)."""
    return tuple(
        Grant(
            id=key.id,
            digest=key.digest,
            principal=key.principal,
            role=key.role,
            endpoints=key.endpoints,
            expires_at=key.expires_at,
            certificate=key.certificate,
            priority=key.priority,
            limits=key.limits,
        )
        for key in keys
        if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
    )
