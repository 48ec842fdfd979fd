"""Make, rotate and revoke API keys. A key is returned once and kept nowhere but as a digest."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.change import Change
from servewell.core.catalog.key import ApiKey, Role
from servewell.core.security.access import key_digest
from servewell.core.security.api_key import format_key, key_id
from servewell.core.security.key_change import (
    KeyDecision,
    KeyRequest,
    decide_create,
    decide_revoke,
    decide_rotate,
    is_good,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot, wait_acknowledged

PEPPER: Final = "pepper"
OPERATOR_KEY: Final = "operator-key"
OPERATOR: Final = "operator"


class NotAcknowledgedError(ServewellError):
    """A worker did not say in time that it has taken up a change."""

    code = "SW-512"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key, in clear, for the one time that it is shown."""

    key: str
    kept: ApiKey
    decision: KeyDecision
    behind: tuple[int, ...] = ()  # live workers that did not acknowledge it in time

    def __repr__(self) -> str:
        return f"IssuedKey(id={self.kept.id!r})"


def create_key(platform: Platform, request: KeyRequest, *, dry_run: bool = False) -> IssuedKey:
    """Make a key, good as soon as this returns; empty where a certificate stands for it.

    Raises: CertificateTakenError, StateUnavailableError, StorageError.
    """
    key, public, digest = _fresh(platform)
    now = platform.clock.now()
    decision = decide_create(
        request, key_id=public, digest=digest, now=now, others=platform.keys.list()
    )
    behind = _carry_out(platform, decision, subject=public, dry_run=dry_run)
    shown = "" if request.certificate else key
    return IssuedKey(key=shown, kept=decision.keys[-1], decision=decision, behind=behind)


def rotate_key(
    platform: Platform, old: str, *, overlap_s: float, dry_run: bool = False
) -> IssuedKey:
    """Make a key with the rights of another, which ends after the overlap.

    Raises: KeyMissingError, KeyRetiredError, StateUnavailableError, StorageError.
    """
    key, public, digest = _fresh(platform)
    decision = decide_rotate(
        platform.keys.get(old),
        key_id=public,
        digest=digest,
        now=platform.clock.now(),
        overlap_s=overlap_s,
    )
    if not dry_run and old == _kept_operator_id(platform):
        platform.secrets.put(OPERATOR_KEY, key.encode())
    behind = _carry_out(platform, decision, subject=old, dry_run=dry_run)
    return IssuedKey(key=key, kept=decision.keys[-1], decision=decision, behind=behind)


def revoke_key(platform: Platform, old: str, *, dry_run: bool = False) -> KeyDecision:
    """End a key; no worker accepts it once this returns.

    Raises: KeyMissingError, KeyRetiredError, NotAcknowledgedError, StateUnavailableError,
    StorageError.
    """
    decision = decide_revoke(platform.keys.get(old), now=platform.clock.now())
    behind = _carry_out(platform, decision, subject=old, dry_run=dry_run)
    if behind:
        raise NotAcknowledgedError(
            f"Key `{old}` is revoked, and {len(behind)} workers may still accept it.",
            why=f"worker {', '.join(map(str, behind))} did not take up the new snapshot in time",
            fix="`servewell status` says why; `servewell down` stops whatever still accepts it",
        )
    return decision


def operator_key(platform: Platform) -> str:
    """Return the key that the command line uses on this machine; make it at the first call.

    It is kept in clear beside the keys of the home: see docs/decisions/0004-operator-key.md.

    Raises: StateUnavailableError, StorageError.
    """
    kept = platform.secrets.find(OPERATOR_KEY)
    known = {one.id: one for one in platform.keys.list()}
    registered = known.get(_kept_operator_id(platform))
    if kept is not None and registered is not None and is_good(registered, platform.clock.now()):
        return kept.decode()
    key = kept.decode() if kept is not None and registered is None else _fresh(platform)[0]
    platform.secrets.put(OPERATOR_KEY, key.encode())
    public = key_id(key) or ""
    decision = decide_create(
        KeyRequest(principal=OPERATOR, role=Role.OPERATOR),
        key_id=public,
        digest=key_digest(key, platform.secrets.get(PEPPER)),
        now=platform.clock.now(),
    )
    _keep(platform, decision, subject=public)
    return key


def _kept_operator_id(platform: Platform) -> str:
    kept = platform.secrets.find(OPERATOR_KEY)
    return (key_id(kept.decode()) if kept else None) or ""


def _fresh(platform: Platform) -> tuple[str, str, str]:
    key = format_key(id_entropy=platform.ids.entropy(8), secret_entropy=platform.ids.entropy(32))
    return key, key_id(key) or "", key_digest(key, platform.secrets.get(PEPPER))


def _carry_out(
    platform: Platform, decision: KeyDecision, *, subject: str, dry_run: bool
) -> tuple[int, ...]:
    if dry_run:
        return ()
    _keep(platform, decision, subject=subject)
    return wait_acknowledged(platform, publish_snapshot(platform).version)


def _keep(platform: Platform, decision: KeyDecision, *, subject: str) -> None:
    change = Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=decision.kind,
        subject=subject,
        because=decision.because,
    )
    platform.keys.save(decision.keys, change)
