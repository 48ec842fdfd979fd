"""Take up what was recorded since the last look at a rollout."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.judgement import Arm, Batch
from servewell.core.catalog.label import Label
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.rollout import Rollout, Stage
from servewell.core.operations import judge
from servewell.core.operations.comparison import Copied, compare
from servewell.core.operations.label_loss import alike
from servewell.core.operations.observing import alone, before
from servewell.core.operations.outcome_batch import arm_of, batches_of, counts
from servewell.core.operations.rollout_moves import has_all

GAPS_KEPT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look gave."""

    outcomes: Sequence[Outcome] = ()
    labels: Sequence[Label] = ()  # first ones, in the order in which they came
    missing: int = 0  # records that are gone, at most
    gaps: tuple[str, ...] = ()  # why


def observed(rollout: Rollout, seen: Seen, *, endpoint: Endpoint) -> Rollout:
    """Return the rollout with more evidence. Its cursor is the caller's to set.

    Raises: nothing.
    """
    batches = batches_of(
        seen.outcomes,
        stable=rollout.stable,
        candidate=rollout.candidate,
        shared_since=_shared_since(rollout, endpoint),
    )
    told = alike(_of_rollout(rollout, seen.labels), rollout.evidence.loss_measure)
    evidence = reduce(
        lambda sofar, batch: judge.observe(sofar, batch, rollout.plan),
        (*batches, *_labelled(rollout, told.labels)),
        rollout.evidence,
    )
    unlike = evidence.unlike + told.unlike
    evidence = replace(evidence, loss_measure=told.measure, unlike=unlike)
    evidence = before(evidence, _own(rollout.stable, seen))
    if has_all(rollout, endpoint):
        own = _own(rollout.candidate, seen, since=endpoint.revision)
        evidence = alone(evidence, own)
    return replace(rollout, evidence=evidence, comparison=_compared(rollout, seen))


def _own(deployment: str, seen: Seen, *, since: int = 0) -> Arm:
    """Return what one deployment did, from a version of the snapshot on."""
    return arm_of(
        [
            one
            for one in seen.outcomes
            if counts(one) and one.deployment == deployment and one.snapshot >= since
        ]
    )


def _of_rollout(rollout: Rollout, labels: Sequence[Label]) -> list[Label]:
    """Return the labels of what both predicted since the rollout began."""
    pair = rollout.stable, rollout.candidate
    return [
        one
        for one in labels
        if one.deployment in pair and not one.role and one.predicted_at >= rollout.began_at
    ]


def _labelled(rollout: Rollout, labels: Sequence[Label]) -> tuple[Batch, ...]:
    """Return the losses of both, where there are any."""
    stable, candidate = (
        Arm(
            losses=tuple(
                one.loss for one in labels if one.deployment == name and one.loss is not None
            )
        )
        for name in (rollout.stable, rollout.candidate)
    )
    if not stable.losses and not candidate.losses:
        return ()
    return (Batch(stable=stable, candidate=candidate),)


def asks_inputs(rollout: Rollout) -> bool:
    """Whether the inputs of requests are needed too."""
    return rollout.stage is Stage.SHADOWING


def with_gaps(comparison: Comparison, seen: Seen) -> Comparison:
    """Return the comparison with what could not be seen counted in it."""
    return replace(
        comparison,
        missing=comparison.missing + seen.missing,
        gaps=(*comparison.gaps, *_said(seen.gaps))[-GAPS_KEPT:],
    )


def _said(gaps: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(gaps))


def _shared_since(rollout: Rollout, endpoint: Endpoint) -> int | None:
    traffic = endpoint.traffic
    both = traffic.get(rollout.stable) and traffic.get(rollout.candidate)
    return endpoint.revision if both else None


def _compared(rollout: Rollout, seen: Seen) -> Comparison:
    noted = with_gaps(rollout.comparison, seen)
    if rollout.stage is not Stage.SHADOWING:
        return noted
    plan = rollout.plan
    copied = Copied(
        shadow=rollout.candidate, share_bp=plan.shadow_bp, difference_max=plan.difference_max
    )
    return compare(noted, seen.outcomes, copied=copied)
