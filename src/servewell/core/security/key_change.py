"""Decide what becomes of a key: made, rotated with an overlap, revoked."""

from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.key import EVERY_ENDPOINT, ApiKey, Role
from servewell.errors import ServewellError

OVERLAP_S: Final = 86_400.0  # a day for the callers to change over


class KeyRetiredError(ServewellError):
    """The key has been revoked or has expired."""

    code = "SW-209"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What a new key is to be."""

    principal: str
    role: Role = Role.INVOKER
    endpoints: tuple[str, ...] = (EVERY_ENDPOINT,)
    lifetime_s: float | None = None  # None for a key that does not expire


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDecision:
    """The keys to keep, and the sentence that says why."""

    keys: tuple[ApiKey, ...]
    kind: ChangeKind
    because: str


def decide_create(request: KeyRequest, *, key_id: str, digest: str, now: float) -> KeyDecision:
    """Return the new key. Units: `now` in seconds since the epoch."""
    expires_at = None if request.lifetime_s is None else now + request.lifetime_s
    key = ApiKey(
        id=key_id,
        digest=digest,
        principal=request.principal,
        role=request.role,
        endpoints=request.endpoints,
        created_at=now,
        expires_at=expires_at,
    )
    reach = "every endpoint" if EVERY_ENDPOINT in key.endpoints else ", ".join(key.endpoints)
    because = f"key for `{key.principal}` as {key.role} of {reach}"
    return KeyDecision(keys=(key,), kind=ChangeKind.KEY_CREATED, because=because)


def decide_rotate(
    old: ApiKey, *, key_id: str, digest: str, now: float, overlap_s: float
) -> KeyDecision:
    """Return a new key with the rights of `old`, which stays good for `overlap_s` seconds more.

    The overlap never prolongs the old key; the new one lives as long as the old one was to live.
    A key that was replaced already is not replaced again: its successor may be.

    Raises: KeyRetiredError.
    """
    _refuse_retired(old, now)
    if old.replaced_by is not None:
        raise _retired(old, f"replaced by `{old.replaced_by}`")
    ends = now + overlap_s if old.expires_at is None else min(old.expires_at, now + overlap_s)
    lifetime_s = None if old.expires_at is None else old.expires_at - old.created_at
    new = replace(
        old,
        id=key_id,
        digest=digest,
        created_at=now,
        expires_at=None if lifetime_s is None else now + lifetime_s,
        replaced_by=None,
    )
    retiring = replace(old, expires_at=ends, replaced_by=key_id)
    because = f"key `{old.id}` of `{old.principal}` replaced; it ends in {ends - now:.0f} s"
    return KeyDecision(keys=(retiring, new), kind=ChangeKind.KEY_ROTATED, because=because)


def decide_revoke(old: ApiKey, *, now: float) -> KeyDecision:
    """Return the key, good no more.

    Raises: KeyRetiredError.
    """
    _refuse_retired(old, now)
    because = f"key `{old.id}` of `{old.principal}` revoked"
    return KeyDecision(
        keys=(replace(old, revoked_at=now),), kind=ChangeKind.KEY_REVOKED, because=because
    )


def is_good(key: ApiKey, now: float) -> bool:
    """Whether the key has neither been revoked nor replaced, nor has expired."""
    ended = key.expires_at is not None and key.expires_at <= now
    return key.revoked_at is None and key.replaced_by is None and not ended


def _refuse_retired(key: ApiKey, now: float) -> None:
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        state = "expired"
    else:
        return
    raise _retired(key, state)


def _retired(key: ApiKey, state: str) -> KeyRetiredError:
    return KeyRetiredError(
        f"Key `{key.id}` is {state} already.",
        why="a key that has ended does not come back",
        fix="`servewell keys list` shows those that are good; `servewell keys create` makes one",
    )
