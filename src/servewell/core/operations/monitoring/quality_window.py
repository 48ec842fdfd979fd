"""The windows that rightness is told of: what was predicted in each, and what is known of it."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.label import Label, LossSum, Measure
from servewell.core.catalog.loss_watch import Watched
from servewell.core.catalog.profile import EVERYTHING, ReferenceProfile, WindowProfile
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import QualityReference, Task
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.cbpe import expected
from servewell.core.operations.monitoring.loss_model import expected_loss
from servewell.core.operations.monitoring.realised import (
    ABSOLUTE,
    TASKS,
    Judged,
    judged,
    realised,
    realised_sum,
    task_of,
)

DAY_S: Final = 86_400
ROWS_MIN: Final = 30  # of a window, to estimate anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One window of time, in seconds since the epoch, UTC."""

    start: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a report is made of. The spans are the oldest first, and so are the profiles."""

    endpoint: str
    deployment: str
    version: str
    package: str  # digest; profiles of another one are in bins of their own
    made_at: float  # when the version was, in seconds since the epoch, UTC
    spans: tuple[Span, ...]
    profiles: tuple[WindowProfile | None, ...]  # one for each span
    labels: tuple[Label, ...]  # in all spans
    bins: ReferenceProfile | None
    reference: QualityReference | None
    watched: Watched | None
    sums: tuple[LossSum | None, ...] | None = None  # in place of labels, one for each span
    since_cut: LossSum | None = None  # of the labels since the last change of the loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window: what was predicted in it, and what is known of that."""

    span: Span
    profile: WindowProfile | None
    rows: dict[str, list[Judged]]  # labelled, by slice
    sums: LossSum | None = None  # in place of rows

    def predictions(self, name: str = EVERYTHING) -> int:
        """Return how many rows of a slice were counted."""
        return self.profile.rows.get(name, 0) if self.profile else 0

    def labels(self, name: str = EVERYTHING) -> int:
        """Return how many rows of a slice have labels that speak of them."""
        return self.sums.rows if self.sums else len(self.rows.get(name, ()))

    def realised(self, name: str, task: Task) -> dict[str, Figure]:
        """Return the figures of a slice by its labels."""
        if self.sums is None:
            return realised(self.rows.get(name, ()), task)
        return realised_sum(self.sums) if TASKS[Measure(self.sums.measure)] is task else {}

    @property
    def task(self) -> Task | None:
        """Return what most labels tell of, None where there are none."""
        if self.sums is None:
            return task_of(self.rows.get(EVERYTHING, ()))
        return TASKS[Measure(self.sums.measure)]

    @property
    def slices(self) -> list[str]:
        """Return the names of all that is to be told of by itself."""
        known = self.profile.rows if self.profile else {}
        return sorted({EVERYTHING, *known, *self.rows})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One slice of a window: what is expected of it, and what its labels say."""

    window: Window
    name: str  # of the slice
    labels: int
    estimated: dict[str, Figure]  # by metric, as if rows were independent
    realised: dict[str, Figure]


def spans_of(since: float, until: float, *, days: int) -> tuple[Span, ...]:
    """Return the windows of so many days that end at `until`, back to `since`, oldest first."""
    length = days * DAY_S
    count = max(1, math.ceil((until - since) / length))
    ends = [until - length * back for back in reversed(range(count))]
    return tuple(Span(start=max(since, end - length), until=end) for end in ends)


def look_back(now: float, rules: QualityRules) -> tuple[float, float]:
    """Return the time that is looked back upon: whole days, today among them."""
    until = (now // DAY_S + 1) * DAY_S
    return until - rules.windows * rules.window_days * DAY_S, until


def windows_of(facts: Facts) -> tuple[Window, ...]:
    """Return the windows, newest first, each with its labels."""
    rows: list[dict[str, list[Judged]]] = [{} for _ in facts.spans]
    place = 0
    for label in sorted(facts.labels, key=lambda one: one.predicted_at):
        while place < len(facts.spans) - 1 and label.predicted_at >= facts.spans[place].until:
            place += 1
        told = judged(label.outputs, label.value)
        for name in _slices_of(label) if told else ():
            assert told is not None  # noqa: S101 - or there is no slice
            rows[place].setdefault(name, []).append(told)
    sums = facts.sums or [None] * len(facts.spans)
    found = zip(facts.spans, facts.profiles, rows, sums, strict=True)
    return tuple(
        Window(span=span, profile=_of(facts.package, profile), rows=one, sums=sums)
        for span, profile, one, sums in reversed([*found])
    )


def told_of(facts: Facts, windows: Iterable[Window], task: Task) -> tuple[Told, ...]:
    """Return what is known of each slice of each window; of sums it is all rows alone."""
    return tuple(
        Told(
            window=window,
            name=name,
            labels=window.labels(name),
            estimated=estimated(facts, window, name),
            realised=window.realised(name, task),
        )
        for window in windows
        for name in (window.slices if facts.sums is None else [EVERYTHING])
    )


def _of(package: str, profile: WindowProfile | None) -> WindowProfile | None:
    return profile if profile is not None and profile.package == package else None


def _slices_of(label: Label) -> Iterator[str]:
    yield EVERYTHING
    yield from (f"{column}={value}" for column, value in label.slices.items())


def estimated(facts: Facts, window: Window, name: str) -> dict[str, Figure]:
    """Return what is expected without labels of one slice of a window."""
    reference = facts.reference
    counts = window.profile.counts.get(name, {}) if window.profile else {}
    if reference is None or not counts or window.profile is None:
        return {}
    rows = window.profile.rows.get(name, 0)
    if rows < ROWS_MIN:
        return {}
    if reference.loss is not None:
        places = {column: one.places for column, one in counts.items()}
        loss = expected_loss(reference.loss, places, rows=rows)
        return {ABSOLUTE: loss} if loss else {}
    score = counts.get(reference.column)
    return expected(reference.cells, score, reference.task) if score else {}
