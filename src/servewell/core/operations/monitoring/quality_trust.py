"""How far an estimate without labels can be trusted, and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.profile import (
    EVERYTHING,
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    Side,
    WindowProfile,
)
from servewell.core.catalog.quality import Trust
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.quality_evidence import Evidence, Says, Shown, matters
from servewell.core.operations.monitoring.quality_window import (
    DAY_S,
    ROWS_MIN,
    Facts,
    Told,
    Window,
)
from servewell.core.operations.monitoring.row_blocks import Z

NONE_FROM: Final = 4.0  # times `unlike_max`


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far an estimate can be trusted."""

    trust: Trust
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What trust rests on."""

    facts: Facts
    rules: QualityRules
    shown: Shown
    unlike: Mapping[float, tuple[str, float]]  # end of a window -> least alike input, and its share


def grounds_of(
    facts: Facts, windows: Iterable[Window], shown: Shown, rules: QualityRules
) -> Grounds:
    """Return what trust in the estimates of these windows rests on."""
    unlike = {one.span.until: _least_alike(facts.bins, one.profile) for one in windows}
    return Grounds(facts=facts, rules=rules, shown=shown, unlike=unlike)


def trust(grounds: Grounds, told: Told, metric: str) -> Verdict:
    """Return how far the estimate of one figure can be trusted.

    Rows that no held-out row was like and labels that speak against it are all told, since the
    one may hide the other. Labels of the very window go before what is known of other times.
    """
    impossible = _impossible(grounds.facts, told)
    if impossible:
        return Verdict(trust=Trust.NONE, because=impossible)
    last = _last(grounds.shown, told, metric)
    against = [
        *_unlike(grounds, told),
        *_contradicted(last, told, metric),
        *_changed(grounds.shown, told, last),
    ]
    if against:
        _, share = grounds.unlike[told.window.span.until]
        none = share >= NONE_FROM * grounds.rules.unlike_max
        return Verdict(trust=Trust.NONE if none else Trust.DOUBTFUL, because="; ".join(against))
    borne_out = _borne_out(last, told, metric)
    if last and borne_out and last.at == told.window.span.until:
        return borne_out
    doubts = "; ".join([*_missed(grounds, told, metric), *_uncalibrated(grounds, told, metric)])
    if doubts:
        return Verdict(trust=Trust.DOUBTFUL, because=doubts)
    return borne_out or _unknown(grounds, told, last)


def _unknown(grounds: Grounds, told: Told, last: Evidence | None) -> Verdict:
    """Return how far an estimate can be trusted that labels say nothing of."""
    days = (told.window.span.until - grounds.facts.made_at) / DAY_S
    if days > grounds.rules.age_days_max:
        because = f"the version is {days:,.0f} days old, and no labels bear it out"
        return Verdict(trust=Trust.DOUBTFUL, because=because)
    labels = last.labels if last else told.window.labels()
    known = f"{labels:,} labels are too few to say" if labels else "no labels yet"
    return Verdict(trust=Trust.GOOD, because=f"the rows are like the held-out ones; {known}")


def _impossible(facts: Facts, told: Told) -> str:
    """Return why there can be no estimate; nothing where there can be one."""
    reference = facts.reference
    if reference is None:
        return "no held-out rows with labels are known of this version"
    if not reference.cells and reference.loss is None:
        return reference.loss_because or "its outputs have no score"
    if told.window.predictions() < ROWS_MIN:
        return f"fewer than {ROWS_MIN} predictions were counted in this window"
    return ""


def _last(shown: Shown, told: Told, metric: str) -> Evidence | None:
    """Return what the last labels say that were known of this window or one before.

    Where those of the very figure say too little, the headline of all rows speaks for it.
    """
    until = told.window.span.until
    own, headline = (
        next((one for one in shown.figures.get(key, ()) if one.at <= until), None)
        for key in ((told.name, metric), (EVERYTHING, shown.headline))
    )
    return headline if headline and (own is None or own.says is Says.TOO_LITTLE) else own


def _unlike(grounds: Grounds, told: Told) -> Iterator[str]:
    """Doubt an estimate about rows that lie outside of all that the held-out rows held."""
    column, share = grounds.unlike[told.window.span.until]
    if share >= grounds.rules.unlike_max:
        yield f"{share:.1%} of the rows have a `{column}` that no held-out row had"


def _contradicted(last: Evidence | None, told: Told, metric: str) -> Iterator[str]:
    if last and last.says is Says.NO:
        yield f"labels contradict {_what(last, told, metric)}: {_words(last)}"


def _borne_out(last: Evidence | None, told: Told, metric: str) -> Verdict | None:
    if last is None or last.says is not Says.YES:
        return None
    because = f"labels bear {_what(last, told, metric)} out: {_words(last)}"
    return Verdict(trust=Trust.GOOD, because=because)


def _what(last: Evidence, told: Told, metric: str) -> str:
    same = (last.name, last.metric) == (told.name, metric)
    return "it" if same else f"the {last.metric} of all rows"


def _words(last: Evidence) -> str:
    return (
        f"{last.labels:,} labels say {last.realised.value:.4g}, and {last.estimated.value:.4g} "
        "was estimated"
    )


def _changed(shown: Shown, told: Told, last: Evidence | None) -> Iterator[str]:
    """Doubt what lies behind a rise of the loss, until labels all from behind it bear it out."""
    cut = shown.cut
    if cut is None or cut.now <= cut.before or told.window.span.until <= cut.at:
        return
    if last is None or last.says is not Says.YES or last.since <= cut.at:
        yield "the loss has changed since, by labels"


def _missed(grounds: Grounds, told: Told, metric: str) -> Iterator[str]:
    """Doubt an estimate that was off on blocks of its own held-out rows by what matters."""
    reference = grounds.facts.reference
    missed = Z * reference.missed.get(metric, 0.0) if reference else 0.0
    if missed > _matters(grounds, told, metric):
        yield f"on its own held-out rows the estimate missed by up to {missed:.2g}"


def _uncalibrated(grounds: Grounds, told: Told, metric: str) -> Iterator[str]:
    """Doubt what rests on scores that labels show to be no probabilities.

    The headline is asked of its labels itself: a calibration error says no more of it.
    """
    shown, reference = grounds.shown, grounds.facts.reference
    errors = (error for at, error in shown.calibration if at <= told.window.span.until)
    error, held = next(errors, None), reference.error_raw if reference else None
    if error is None or held is None or metric == shown.headline:
        return
    if error.low - held > _matters(grounds, told, metric):
        yield (
            f"labels show a calibration error of {error.low:.2g} at least, where the held-out rows "
            f"had {held:.2g}"
        )


def _matters(grounds: Grounds, told: Told, metric: str) -> float:
    """Return the difference from the held-out figure that is somebody's work."""
    reference = grounds.facts.reference
    held = reference.figures.get(told.name, {}).get(metric) if reference else None
    figure = held or told.estimated.get(metric)
    return matters(metric, figure.value, grounds.rules) if figure else 0.0


def _least_alike(bins: ReferenceProfile | None, window: WindowProfile | None) -> tuple[str, float]:
    """Return the input with the largest share of rows outside of what the held-out rows held."""
    counts = window.counts.get(EVERYTHING, {}) if window else {}
    inputs = [one for one in (bins.bins if bins else ()) if one.side is Side.INPUT]
    shares = {
        one.column: _outside(one, counts[one.column]) for one in inputs if one.column in counts
    }
    worst = max(shares, key=lambda name: shares[name], default="")
    return worst, shares.get(worst, 0.0)


def _outside(bins: Bins, counts: Counts) -> float:
    """Return the share of rows that are below, above, not finite, or of a category never seen."""
    if not counts.rows or bins.kind is ColumnKind.PRESENCE:
        return 0.0
    places = counts.places
    outside = places[-1] + (sum(places[1:3]) if bins.kind is ColumnKind.NUMBER else 0)
    return outside / counts.rows
