"""What kind of trouble a deployment is in, and what helps: a table of two facts.

The one is what the inputs do, the other what is known of the loss. What breaks a feed goes before
all else, because everything that is measured behind it is of wrong values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict
from servewell.core.catalog.profile import Side
from servewell.core.catalog.quality import Quality, QualityReport, Trust
from servewell.core.catalog.triage import Kind, Remedy, Triage
from servewell.core.operations.monitoring.drift import began
from servewell.core.operations.monitoring.drift_words import name
from servewell.core.operations.monitoring.quality import expected_worse, headlines

RENAMED_MIN: Final = 0.1  # share of the requests, from which an unknown input breaks the feed
RENAMED_ROWS: Final = 20  # requests of that kind, at least
LABELS_MIN: Final = 30  # by which predictions count as being as good as ever
NAMED_MAX: Final = 4


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
    EXPECTED = "expected"  # worse, given the inputs
    NONE = "none"
    UNKNOWN = "unknown"


TABLE: Final[dict[tuple[Inputs, Loss], tuple[Kind, Remedy]]] = {
    (Inputs.BROKEN, Loss.PROVEN): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.EXPECTED): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.NONE): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.BROKEN, Loss.UNKNOWN): (Kind.BROKEN_FEED, Remedy.FIX_FEED),
    (Inputs.SKEWED, Loss.PROVEN): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.SKEWED, Loss.EXPECTED): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.SKEWED, Loss.NONE): (Kind.SKEW, Remedy.NOTHING),
    (Inputs.SKEWED, Loss.UNKNOWN): (Kind.SKEW, Remedy.ROLL_BACK),
    (Inputs.MOVED, Loss.PROVEN): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.MOVED, Loss.EXPECTED): (Kind.COVARIATE_SHIFT, Remedy.RETRAIN),
    (Inputs.MOVED, Loss.NONE): (Kind.HARMLESS_SHIFT, Remedy.NOTHING),
    (Inputs.MOVED, Loss.UNKNOWN): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.STILL, Loss.PROVEN): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.STILL, Loss.EXPECTED): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.STILL, Loss.NONE): (Kind.NONE, Remedy.NOTHING),
    (Inputs.STILL, Loss.UNKNOWN): (Kind.NONE, Remedy.NOTHING),
    (Inputs.UNKNOWN, Loss.PROVEN): (Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
    (Inputs.UNKNOWN, Loss.EXPECTED): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.UNKNOWN, Loss.NONE): (Kind.UNKNOWN, Remedy.WAIT),
    (Inputs.UNKNOWN, Loss.UNKNOWN): (Kind.UNKNOWN, Remedy.WAIT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Requests that named an input that the model does not have."""

    requests: int = 0  # all that came over the time
    unknown: int = 0  # that named an unknown input and lacked a known one
    lacking: tuple[str, ...] = ()  # the known inputs that they lacked

    @property
    def break_the_feed(self) -> bool:
        """Whether they are so many that somebody renamed an input."""
        return self.unknown >= RENAMED_ROWS and self.unknown >= RENAMED_MIN * self.requests


NO_REFUSALS: Final = Refusals()


def triage(
    drift: DriftReport,
    quality: QualityReport | None,
    *,
    first_day: DriftReport | None = None,
    refusals: Refusals = NO_REFUSALS,
) -> Triage:
    """Return the verdict on one deployment, and what helps.

    `first_day` is the drift over its first day of traffic: what differed then already is skew
    between training and serving, what differs later is drift.

    Raises: nothing. The reports are of the same deployment.
    """
    moved = [one for one in drift.columns if one.verdict is DriftVerdict.DRIFT]
    inputs, of_inputs = _inputs(drift, moved, first_day, refusals)
    loss, of_loss = _loss(quality)
    kind, remedy = TABLE[inputs, loss]
    blamed = () if inputs in (Inputs.STILL, Inputs.UNKNOWN) else _blamed(moved, refusals)
    return Triage(
        endpoint=drift.endpoint,
        deployment=drift.deployment,
        kind=kind,
        remedy=remedy,
        columns=blamed,
        since=_since(kind, drift, quality, [one for one in moved if one.column in blamed]),
        because=f"{of_inputs}; {of_loss}",
    )


def _inputs(
    drift: DriftReport,
    moved: Sequence[ColumnDrift],
    first_day: DriftReport | None,
    refusals: Refusals,
) -> tuple[Inputs, str]:
    if refusals.break_the_feed:
        return Inputs.BROKEN, _renamed(refusals)
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


def _renamed(refusals: Refusals) -> str:
    named = ", ".join(f"`{one}`" for one in refusals.lacking[:NAMED_MAX])
    return (
        f"{refusals.unknown:,} of {refusals.requests:,} requests were refused because they name an "
        f"input that the model does not have and lack {named or 'one that it has'}: it was renamed"
    )


def _loss(quality: QualityReport | None) -> tuple[Loss, str]:
    if quality is None:
        return Loss.UNKNOWN, "how right the predictions are is not known"
    expected = expected_worse(quality)
    if expected is not None:
        words = f"the {expected.metric} is expected to be worse than on the held-out rows"
        proof = f", and {quality.because}" if quality.worse else ""
        return Loss.EXPECTED, words + proof
    if quality.worse:
        return Loss.PROVEN, quality.because
    if any(_says_well(one) for one in headlines(quality)[:1]):
        return Loss.NONE, "the predictions are as right as on the held-out rows"
    return Loss.UNKNOWN, f"how right the predictions are cannot be told: {quality.because}"


def _says_well(one: Quality) -> bool:
    """Whether the newest figure, which is not worse, says anything."""
    by_labels = one.realised is not None and one.labels >= LABELS_MIN
    return by_labels or (one.estimated is not None and one.trust is Trust.GOOD)


def _blamed(moved: Sequence[ColumnDrift], refusals: Refusals) -> tuple[str, ...]:
    broken = [one.column for one in moved if one.faults]
    lacking = refusals.lacking if refusals.break_the_feed else ()
    return tuple(dict.fromkeys([*lacking, *(broken or [one.column for one in moved])]))


def _since(
    kind: Kind, drift: DriftReport, quality: QualityReport | None, blamed: Sequence[ColumnDrift]
) -> float:
    changed = quality.changed_at if quality and kind is Kind.CONCEPT_DRIFT else None
    return changed or began(drift, blamed)
