"""Say what a request was evidence of, who asked, and under which change it was served."""

from collections.abc import Iterable, Sequence

from servewell.core.catalog.change import Change
from servewell.core.catalog.experiment import Experiment
from servewell.core.catalog.key import ApiKey
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.request_trace import Caller, EvidenceIn, Record
from servewell.core.catalog.rollout import Rollout
from servewell.core.operations.outcome_batch import counts

ROLES = {
    "pinned": "its caller chose the deployment, so it says nothing of the draw",
    "stopped": "an emergency stop decided what became of it",
    "shadow": "it is a copy that nobody got",
}
NANOSECONDS = 1_000_000_000


def evidence_in(
    outcome: Outcome, rollouts: Iterable[Rollout], experiments: Iterable[Experiment]
) -> tuple[EvidenceIn, ...]:
    """Return the rollouts and experiments of its endpoint that ran when a live request came."""
    at = outcome.time_ns / NANOSECONDS
    found = [
        _evidence(outcome, "rollout", one.id, (one.candidate, one.stable), one.stage.value)
        for one in rollouts
        if _ran(at, one.began_at, one.ended_at)
    ]
    found += [
        _evidence(outcome, "experiment", one.id, (one.first, one.second), _ending(one))
        for one in experiments
        if _ran(at, one.began_at, one.ended_at)
    ]
    return tuple(found)


def _ran(at: float, began_at: float, ended_at: float | None) -> bool:
    return began_at <= at and (ended_at is None or at <= ended_at)


def _ending(experiment: Experiment) -> str:
    return "running" if experiment.ended_at is None else "ended"


def _evidence(
    outcome: Outcome, kind: str, name: str, sides: tuple[str, str], stands: str
) -> EvidenceIn:
    words = ("candidate", "stable") if kind == "rollout" else ("first", "second")
    side = dict(zip(sides, words, strict=True)).get(outcome.deployment, "")
    counted = bool(side) and counts(outcome)
    return EvidenceIn(
        kind=kind,
        id=name,
        side=side,
        counts=counted,
        stands=stands,
        because=_because(outcome, side, counted=counted),
    )


def _because(outcome: Outcome, side: str, *, counted: bool) -> str:
    if counted:
        return f"the traffic's draw gave it to the {side}"
    if not side:
        return "another deployment answered"
    return ROLES.get(outcome.role, "it never reached the model, or its caller was refused")


def change_at(changes: Sequence[Change], snapshot: int) -> Change | None:
    """Return the change of an endpoint that its traffic had when a snapshot was made."""
    before = [one for one in changes if one.revision <= snapshot]
    return before[-1] if before else None


def caller_of(record: Record, keys: Iterable[ApiKey], *, now: float) -> Caller:
    """Return who asked, with what is known of the key now (epoch seconds)."""
    principal, key_id = record["principal"], record["key_id"]
    for key in keys:
        if key.id == key_id:
            state = _key_state(key, now)
            return Caller(principal=principal, key_id=key_id, role=key.role.value, state=state)
    return Caller(principal=principal, key_id=key_id, state="unknown")


def _key_state(key: ApiKey, now: float) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "good"
