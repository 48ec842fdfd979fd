"""Decide what becomes of a key: made, rotated with an overlap, revoked."""

from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.key import EVERY_ENDPOINT, ApiKey, Role
from servewell.core.catalog.limits import NO_LIMITS, Limits, Priority
from servewell.errors import ServewellError

OVERLAP_S: Final = 86_400.0  # a day for the callers to change over


class KeyRetiredError(ServewellError):
    """The key has been revoked or has expired."""

    code = "SW-209"


class NothingToRotateError(ServewellError):
    """A certificate stands for the key: there is no secret that could be replaced."""

    code = "SW-133"


class CertificateTakenError(ServewellError):
    """The identity has rights already."""

    code = "SW-134"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What a new key is to be."""

    principal: str
    role: Role = Role.INVOKER
    endpoints: tuple[str, ...] = (EVERY_ENDPOINT,)
    lifetime_s: float | None = None  # None for a key that does not expire
    priority: Priority = Priority.NORMAL  # the highest that its requests may have
    limits: Limits = NO_LIMITS
    certificate: str = ""  # identity of a client certificate that stands for it; or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDecision:
    """The keys to keep, and the sentence that says why."""

    keys: tuple[ApiKey, ...]
    kind: ChangeKind
    because: str


def decide_create(
    request: KeyRequest,
    *,
    key_id: str,
    digest: str,
    now: float,
    others: tuple[ApiKey, ...] = (),
) -> KeyDecision:
    """Return the new key. Where a certificate stands for it, it has no secret and so no digest.

    Units:  `now` in seconds since the epoch.
    Raises: CertificateTakenError where one of the `others` gives the identity rights.
    """
    _refuse_taken(request.certificate, others, now)
    expires_at = None if request.lifetime_s is None else now + request.lifetime_s
    key = ApiKey(
        id=key_id,
        digest="" if request.certificate else digest,
        principal=request.principal,
        role=request.role,
        endpoints=request.endpoints,
        created_at=now,
        expires_at=expires_at,
        certificate=request.certificate,
        priority=request.priority,
        limits=request.limits,
    )
    what = f"certificate `{key.certificate}`" if key.certificate else "key"
    reach = "every endpoint" if EVERY_ENDPOINT in key.endpoints else ", ".join(key.endpoints)
    because = f"{what} for `{key.principal}` as {key.role} of {reach}"
    return KeyDecision(keys=(key,), kind=ChangeKind.KEY_CREATED, because=because)


def decide_rotate(
    old: ApiKey, *, key_id: str, digest: str, now: float, overlap_s: float
) -> KeyDecision:
    """Return a new key with the rights of `old`, which stays good for `overlap_s` seconds more.

    The overlap never prolongs the old key; the new one lives as long as the old one was to live.
    A key that was replaced already is not replaced again: its successor may be.

    Raises: KeyRetiredError, NothingToRotateError.
    """
    _refuse_retired(old, now)
    if old.certificate:
        raise NothingToRotateError(
            f"Key `{old.id}` has no secret to replace.",
            why=f"the certificate `{old.certificate}` stands for it",
            fix="renew the certificate where it was issued: the identity in it stays the same",
        )
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


def _refuse_taken(identity: str, others: tuple[ApiKey, ...], now: float) -> None:
    for one in others:
        if identity and one.certificate == identity and is_good(one, now):
            raise CertificateTakenError(
                f"The certificate `{identity}` has rights already.",
                why=f"key `{one.id}` of `{one.principal}` gives them, and two would contradict "
                "each other",
                fix=f"`servewell keys revoke {one.id}` ends those; then do the same again",
            )


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
