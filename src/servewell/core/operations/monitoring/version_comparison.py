"""Compare two deployments by their counters and labels, and say what is shown.

Each measure has an interval of 95 % for either; the interval of the difference follows from these,
as two deployments answer different requests: with values a, b and intervals (a_l, a_u), (b_l, b_u)

    low  = b - a - sqrt((b - b_l)^2 + (a_u - a)^2)
    high = b - a + sqrt((b_u - b)^2 + (a - a_l)^2)

A difference is shown where that leaves out 0. Columns are judged as drift is: a two-sample test,
corrected over all of them, and an index of material size.

Source: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in
Medicine 27 (2008); of two shares it is Newcombe's hybrid score interval (1998).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.profile import (
    EVERYTHING,
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.version_comparison import (
    Arm,
    ColumnCompared,
    Compared,
    Shown,
    VersionComparison,
)
from servewell.core.operations.false_discovery import discoveries
from servewell.core.operations.monitoring.movement import distributions
from servewell.core.operations.monitoring.realised import Judged, realised, task_of
from servewell.core.operations.monitoring.two_samples import difference
from servewell.core.operations.wilson import interval

MATERIAL: Final = 0.1  # of the corrected index
REQUESTS_MIN: Final = 30  # of either, to say anything of its shares
LABELS_MIN: Final = 30
TOGETHER_MIN: Final = 0.5  # below, the time may be what differs
FEWEST_EDGES: Final = 2
HIGHER_IS_BETTER: Final = frozenset({"accuracy", "precision", "recall", "f1", "roc-auc"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is known of one deployment over the time."""

    deployment: str
    version: str
    traffic: tuple[TrafficWindow, ...]
    latency: Mapping[str, Figure]  # milliseconds, by the name of the quantile
    profile: WindowProfile | None
    reference: ReferenceProfile | None
    judged: tuple[Judged, ...]  # rows with labels
    cut: bool = False  # whether there are earlier ones that were left out


def compare_versions(
    endpoint: str, first: Side, second: Side, *, since: float, until: float
) -> VersionComparison:
    """Return what is known of two deployments, and what it shows.

    Units:  times in seconds since the epoch; shares in 0..1; latency in milliseconds.
    Raises: nothing.
    """
    measures = (*_shares(first, second), *_latencies(first, second), *_quality(first, second))
    columns = _columns(first, second)
    together = _together(first.traffic, second.traffic)
    return VersionComparison(
        endpoint=endpoint,
        first=_arm(first),
        second=_arm(second),
        since=since,
        until=until,
        together=together,
        measures=measures,
        columns=columns,
        because=_because(measures, columns, together, (first, second)),
    )


def difference_of(first: Figure, second: Figure) -> Figure:
    """Return the second less the first, with its interval: see the module."""
    value = second.value - first.value
    return Figure(
        value=value,
        low=value - math.hypot(second.value - second.low, first.high - first.value),
        high=value + math.hypot(second.high - second.value, first.value - first.low),
    )


def _arm(side: Side) -> Arm:
    return Arm(
        deployment=side.deployment,
        version=side.version,
        requests=_requests(side),
        rows=side.profile.rows.get(EVERYTHING, 0) if side.profile else 0,
        labels=len(side.judged),
    )


def _requests(side: Side) -> int:
    return sum(one.requests for one in side.traffic)


def _shares(first: Side, second: Side) -> Iterator[Compared]:
    for name, field in (("failed", "failed"), ("refused", "refused"), ("slow", "slow")):
        a, b = (
            _share(sum(getattr(w, field) for w in one.traffic), _requests(one))
            for one in (first, second)
        )
        few = min(_requests(first), _requests(second)) < REQUESTS_MIN
        why = f"fewer than {REQUESTS_MIN} requests of one of them" if few else ""
        yield _compared(name, "share of requests", a, b, lower=name != "refused", few=why)


def _share(hits: int, total: int) -> Figure | None:
    if not total:
        return None
    low, high = interval(hits, total)
    return Figure(value=hits / total, low=low, high=high)


def _latencies(first: Side, second: Side) -> Iterator[Compared]:
    for name in dict.fromkeys((*first.latency, *second.latency)):
        a, b = first.latency.get(name), second.latency.get(name)
        yield _compared(f"latency {name}", "ms", a, b, lower=True)


def _quality(first: Side, second: Side) -> Iterator[Compared]:
    task = task_of((*first.judged, *second.judged))
    if task is None:
        return
    a, b = realised(first.judged, task), realised(second.judged, task)
    few = min(len(first.judged), len(second.judged)) < LABELS_MIN
    why = f"fewer than {LABELS_MIN} labels of one of them" if few else ""
    for name in dict.fromkeys((*a, *b)):
        lower = name not in HIGHER_IS_BETTER
        yield _compared(name, "by labels", a.get(name), b.get(name), lower=lower, few=why)


def _compared(  # noqa: PLR0913 - one measure of two
    measure: str,
    unit: str,
    first: Figure | None,
    second: Figure | None,
    *,
    lower: bool,
    few: str = "",
) -> Compared:
    told = Compared(
        measure=measure,
        unit=unit,
        first=first,
        second=second,
        difference=None,
        shown=Shown.CANNOT_TELL,
        because=few or "one of them has none",
    )
    if first is None or second is None or few:
        return told
    found = difference_of(first, second)
    shown, because = _shown(measure, found, lower=lower)
    return replace(told, difference=found, shown=shown, because=because)


def _shown(measure: str, found: Figure, *, lower: bool) -> tuple[Shown, str]:
    bounds = f"{found.low:+.3g} to {found.high:+.3g}"
    if found.low <= 0 <= found.high:
        return Shown.NOT_SHOWN, f"the interval of the difference, {bounds}, holds 0"
    if measure == "refused":
        return Shown.DIFFERENT, f"the difference is {bounds}; what callers send may be why"
    second = (found.value < 0) == lower
    return (Shown.SECOND if second else Shown.FIRST), f"the difference is {bounds}"


def _columns(first: Side, second: Side) -> tuple[ColumnCompared, ...]:
    """Return the columns of both, judged together, the most different first."""
    told = [_column(bins, *counts) for bins, *counts in _pairs(first, second)]
    known = [one.p for one in told if one.p is not None]
    found = iter(discoveries(known))
    judged = [one if one.p is None else _judged(one, next(found)) for one in told]
    return tuple(sorted(judged, key=lambda one: -(one.psi or 0.0)))


def _pairs(first: Side, second: Side) -> Iterator[tuple[Bins, Counts | None, Counts | None]]:
    """Yield each column of both with its counts in bins that both have; None where there are none.

    Versions have bins of their own. Of numbers the edges that both have make bins in which both
    counted exactly.
    """
    if first.reference is None or second.reference is None:
        return
    theirs = {one.column: one for one in second.reference.bins}
    for bins in first.reference.bins:
        other = theirs.get(bins.column)
        a, b = (_counts(one, bins.column) for one in (first, second))
        if other is None or a is None or b is None:
            continue
        if bins == other:
            yield bins, a, b
            continue
        edges = tuple(edge for edge in bins.edges if edge in other.edges)
        alike = bins.kind is other.kind is ColumnKind.NUMBER and bins.source == other.source
        if alike and bins.direction == other.direction and len(edges) >= FEWEST_EDGES:
            coarse = replace(bins, edges=edges)
            yield coarse, _coarsened(bins, edges, a), _coarsened(other, edges, b)
        else:
            yield bins, None, None


def _counts(side: Side, column: str) -> Counts | None:
    return side.profile.counts.get(EVERYTHING, {}).get(column) if side.profile else None


def _coarsened(bins: Bins, edges: tuple[float, ...], counts: Counts) -> Counts:
    """Return counts in the bins between some of their edges.

    The last bin of a column holds its upper edge, and every other bin does not: a value that is
    exactly the greatest edge of one version alone may lie one bin lower.
    """
    missing, not_finite, below, *rest = counts.places
    inner, above = rest[:-1], rest[-1]
    places = [missing, not_finite, below, *([0] * (len(edges) - 1)), above]
    for low, rows in zip(bins.edges, inner, strict=False):
        bin_ = sum(edge <= low for edge in edges)
        places[2 + bin_] += rows
    return replace(counts, places=tuple(places))


def _column(bins: Bins, first: Counts | None, second: Counts | None) -> ColumnCompared:
    if first is None or second is None or not min(first.rows, second.rows):
        return ColumnCompared(
            column=bins.column,
            side=bins.side,
            psi=None,
            p=None,
            shown=Shown.CANNOT_TELL,
            because="the versions count it in bins that have too little alike, or one has no rows",
        )
    found = difference(bins, first.places, second.places)
    return ColumnCompared(
        column=bins.column,
        side=bins.side,
        psi=found.psi,
        p=found.p,
        shown=Shown.NOT_SHOWN,
        because="",
        distributions=distributions(bins, first, second),
    )


def _judged(one: ColumnCompared, significant: bool) -> ColumnCompared:  # noqa: FBT001 - of a test
    psi = one.psi or 0.0
    if significant and psi >= MATERIAL:
        return replace(one, shown=Shown.DIFFERENT, because=f"distributed otherwise, PSI {psi:.2f}")
    if significant:
        return replace(one, because=f"a difference of no size that matters, PSI {psi:.3f}")
    return replace(one, because="the test finds no difference")


def _together(first: Sequence[TrafficWindow], second: Sequence[TrafficWindow]) -> float:
    """Return the share of the requests of the one with fewer in windows that both had."""
    a, b = ({(w.start, w.seconds): w.requests for w in one} for one in (first, second))
    fewer, other = (a, b) if sum(a.values()) <= sum(b.values()) else (b, a)
    whole = sum(fewer.values())
    shared = sum(requests for at, requests in fewer.items() if other.get(at))
    return shared / whole if whole else 0.0


def _because(
    measures: Sequence[Compared],
    columns: Sequence[ColumnCompared],
    together: float,
    sides: Sequence[Side],
) -> str:
    clear = (Shown.FIRST, Shown.SECOND, Shown.DIFFERENT)
    shown = [f"{one.measure}: {one.shown}" for one in measures if one.shown in clear]
    moved = [one.column for one in columns if one.shown is Shown.DIFFERENT]
    words = ["; ".join(shown) if shown else "no measure shows a difference"]
    if moved:
        words.append(f"distributed otherwise: {', '.join(moved[:5])}")
    if together < TOGETHER_MIN:
        words.append("they answered at different times, which may be what differs")
    words += [
        f"of `{one.deployment}` the newest {len(one.judged):,} labels count, not the earlier ones"
        for one in sides
        if one.cut
    ]
    return "; ".join(words)
