"""What kind of trouble a deployment is in, and what helps: a table of two facts.

The one is what the inputs do, the other what is known of the loss. What breaks a feed goes before
all else, because everything that is measured behind it is of wrong values.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict
from servewell.core.catalog.profile import Side
from servewell.core.catalog.quality import Quality, QualityReport, Trust
from servewell.core.catalog.triage import Kind, Remedy, Triage
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.drift import began
from servewell.core.operations.monitoring.drift_words import name
from servewell.core.operations.monitoring.quality import expected_worse, headlines
from servewell.core.operations.monitoring.quality_signals import CHANGED_FOR_S
from servewell.core.operations.monitoring.refusals import NO_REFUSALS, Refusals

NAMED_MAX: Final = 4
USUAL: Final = QualityRules()


class Inputs(StrEnum):
    """What the inputs do."""

    BROKEN = "broken"  # in a way that no drift of the world does
    SKEWED = "skewed"  # have not been those of the reference since the first day
    MOVED = "moved"  # were, and are no more
    STILL = "still"
    UNKNOWN = "unknown"  # too few rows


class Loss(StrEnum):
    """What is known of the predictions."""

    PROVEN = "proven"  # worse by labels, and not because of the inputs as far as can be told
    BOTH = "both"  # worse by labels, and as the inputs let expect
    EXPECTED = "expected"  # worse, given the inputs
    NONE = "none"
    UNKNOWN = "unknown"


# Where the inputs are unknown and labels prove a loss, a training helps whatever the cause is but
# a broken feed. That of a column is seen in few rows already, and the gates judge what is trained.
TABLE: Final[dict[tuple[Inputs, Loss], tuple[Kind, Remedy]]] = {
    (Inputs.BROKEN, Loss.PROVEN): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.BOTH): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.EXPECTED): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.NONE): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.UNKNOWN): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.SKEWED, Loss.PROVEN): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.SKEWED, Loss.BOTH): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.SKEWED, Loss.EXPECTED): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.SKEWED, Loss.NONE): (Kind.SKEW, Remedy.NOTHING),
    (Inputs.SKEWED, Loss.UNKNOWN): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.MOVED, Loss.PROVEN): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.MOVED, Loss.BOTH): (Kind.COVARIATE_SHIFT, Remedy.RETRAIN),
    (Inputs.MOVED, Loss.EXPECTED): (Kind.COVARIATE_SHIFT, Remedy.RETRAIN),
    (Inputs.MOVED, Loss.NONE): (Kind.HARMLESS_SHIFT, Remedy.NOTHING),
    (Inputs.MOVED, Loss.UNKNOWN): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.STILL, Loss.PROVEN): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.STILL, Loss.BOTH): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.STILL, Loss.EXPECTED): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.STILL, Loss.NONE): (Kind.NONE, Remedy.NOTHING),
    (Inputs.STILL, Loss.UNKNOWN): (Kind.NONE, Remedy.NOTHING),
    (Inputs.UNKNOWN, Loss.PROVEN): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.UNKNOWN, Loss.BOTH): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.UNKNOWN, Loss.EXPECTED): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.UNKNOWN, Loss.NONE): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.UNKNOWN, Loss.UNKNOWN): (Kind.UNKNOWN, Remedy.WAIT),
}


def triage(  # noqa: PLR0913 - what is known of a deployment, each part optional
    drift: DriftReport,
    quality: QualityReport | None,
    *,
    now: float,
    rules: QualityRules = USUAL,
    first_day: DriftReport | None = None,
    refusals: Refusals = NO_REFUSALS,
) -> Triage:
    """Return the verdict on one deployment, and what helps.

    `first_day` is the drift over its first day of traffic: what differed then already is skew
    between training and serving, what differs later is drift. `rules` say what loss matters.

    Units:  `now` is in seconds since the epoch, UTC.
    Raises: nothing. The reports are of the same deployment.
    """
    moved = [one for one in drift.columns if _drifts(one)]
    inputs, of_inputs = _inputs(drift, moved, first_day, refusals)
    loss, of_loss = _loss(quality, rules, now=now)
    kind, remedy = TABLE[inputs, loss]
    blamed = () if inputs in (Inputs.STILL, Inputs.UNKNOWN) else _blamed(moved, refusals)
    concept = quality if kind is Kind.CONCEPT_DRIFT else None
    changed_at = concept.changed_at if concept and _rose(concept, rules, now=now) else None
    since = refusals.since if refusals.break_the_feed else changed_at
    return Triage(
        endpoint=drift.endpoint,
        deployment=drift.deployment,
        kind=kind,
        remedy=remedy,
        columns=blamed,
        since=since or began(drift, [one for one in moved if one.column in blamed]),
        because=f"{of_inputs}; {of_loss}",
        refused=refusals.what if refusals.break_the_feed else "",
    )


def _inputs(
    drift: DriftReport,
    moved: Sequence[ColumnDrift],
    first_day: DriftReport | None,
    refusals: Refusals,
) -> tuple[Inputs, str]:
    if refusals.break_the_feed:
        return Inputs.BROKEN, refusals.because
    if any(one.faults for one in moved if one.side is Side.INPUT):
        return Inputs.BROKEN, drift.because
    if not moved:
        unknown = drift.verdict is DriftVerdict.CANNOT_TELL
        return Inputs.UNKNOWN if unknown else Inputs.STILL, drift.because
    before = (
        {(one.column, one.slice) for one in first_day.columns if _drifts(one)}
        if first_day
        else set()
    )
    if all((one.column, one.slice) in before for one in moved):
        named = ", ".join(name(one) for one in moved[:NAMED_MAX])
        words = f"{named} differed from the reference on the first day already"
        return Inputs.SKEWED, f"{words}: {moved[0].what}"
    return Inputs.MOVED, drift.because


def _drifts(one: ColumnDrift) -> bool:
    return one.verdict is DriftVerdict.DRIFT


def _loss(quality: QualityReport | None, rules: QualityRules, *, now: float) -> tuple[Loss, str]:
    if quality is None:
        return Loss.UNKNOWN, "how right the predictions are is not known"
    proofs = list(_proofs(quality, rules, now=now))
    expected = expected_worse(quality)
    if expected is None:
        return (Loss.PROVEN, ", and ".join(proofs)) if proofs else _unproven(quality, rules)
    guess = f"the {expected.metric} is expected to be worse than on the held-out rows"
    return Loss.BOTH if proofs else Loss.EXPECTED, ", and ".join([guess, *proofs])


def _proofs(quality: QualityReport, rules: QualityRules, *, now: float) -> Iterator[str]:
    """Yield what labels prove: a loss beside the held-out rows, and one beside the time before."""
    if quality.worse:
        yield quality.because
    if _rose(quality, rules, now=now):
        before, is_now = quality.loss_before or 0.0, quality.loss_now or 0.0
        yield f"the loss of the labels rose from {before:.4g} to {is_now:.4g} (ADWIN)"


def _rose(quality: QualityReport, rules: QualityRules, *, now: float) -> bool:
    """Whether the loss rose lately, by what matters, and above that of the held-out rows."""
    if quality.changed_at is None or not 0 <= now - quality.changed_at < CHANGED_FOR_S:
        return False
    held = (_held_loss(one) for one in headlines(quality)[:1])
    least = max([quality.loss_before or 0.0, *held])
    return (quality.loss_now or 0.0) > least * (1 + rules.matters)


def _held_loss(one: Quality) -> float:
    """Return the loss on the held-out rows, of an accuracy the share that is wrong; 0 of none."""
    if one.reference is None:
        return 0.0
    return one.reference if one.better == "lower" else 1 - one.reference


def _unproven(quality: QualityReport, rules: QualityRules) -> tuple[Loss, str]:
    """Return whether the newest figures, which prove nothing bad, say anything good."""
    for newest in headlines(quality)[:1]:
        if _well_by_labels(newest, rules):
            return Loss.NONE, "the predictions are as right as on the held-out rows, by labels"
        if _well_by_estimate(newest, rules):
            words = "the predictions are expected to be as right as on the held-out rows"
            return Loss.NONE, words
    return Loss.UNKNOWN, f"how right the predictions are cannot be told: {quality.because}"


def _well_by_labels(one: Quality, rules: QualityRules) -> bool:
    """Whether labels show that no loss is left that matters."""
    if one.realised is None or one.labels < rules.labels_min:
        return False
    worst = one.realised.high if one.better == "lower" else one.realised.low
    return _as_right(one, worst, rules)


def _well_by_estimate(one: Quality, rules: QualityRules) -> bool:
    """Whether an estimate that can be trusted shows no loss that matters."""
    if one.estimated is None or one.trust is not Trust.GOOD:
        return False
    return _as_right(one, one.estimated.value, rules)


def _as_right(one: Quality, value: float, rules: QualityRules) -> bool:
    if one.reference is None:
        return False
    worse = value - one.reference if one.better == "lower" else one.reference - value
    return worse <= rules.matters * _held_loss(one)


def _blamed(moved: Sequence[ColumnDrift], refusals: Refusals) -> tuple[str, ...]:
    broken = [one.column for one in moved if one.faults]
    return tuple(dict.fromkeys([*refusals.columns, *(broken or [one.column for one in moved])]))
