"""Whether the columns of a deployment have moved from what its version was made for.

A column has moved in a window where the test of all columns finds it, after the correction of
Benjamini and Hochberg, and its index is as large as matters, or larger than what the column does
by itself within the reference. It drifts when it has moved in consecutive windows, or at once
where it does what nothing in the world does: another unit, one value, values missing, categories
never seen. What the same hours of calm days did as well is the time of day, and no drift.

Of a window that is not over only what breaks a feed is told: its rows are a part of a day.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict, FeedFault
from servewell.core.catalog.profile import Bins, Counts, ReferenceProfile, WindowProfile
from servewell.core.catalog.workload_monitoring import DriftRules
from servewell.core.operations.false_discovery import discoveries
from servewell.core.operations.monitoring.drift_words import because_of, remark
from servewell.core.operations.monitoring.movement import (
    conversion,
    distributions,
    is_constant,
    shares,
    words,
)
from servewell.core.operations.monitoring.profiles import merged_counts
from servewell.core.operations.monitoring.two_samples import Difference, difference, rows_needed

# Where rows are too few, chance also gives large indices, and the noise of a small reference is in
# every window. Of simulated models with 30 columns and 200 to 500 rows in it 3 to 5 % had
# a false alarm in a month at the usual level, and none of 900 at that level to the power of 1.5.
SURE: Final = 1.5
NOTED_SHARE: Final = 0.2  # of the index that matters, from which a significant one is on watch
USUAL_MAX: Final = 0.5  # index up to which a column may move as far as it does by itself
MENDED_ROWS: Final = 100  # of an open window without a fault, from which it is no more
ALIKE_ROWS: Final = 0.5  # as many rows as the window at least, for other hours to explain it

Key = tuple[str, str]  # slice, column


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """The same hours of an earlier day, and that day."""

    hours: WindowProfile
    day: WindowProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A window, and what the time of day may explain of it."""

    window: WindowProfile
    seasons: tuple[Season, ...] = ()
    young: bool = False  # shorter than a day, of a deployment that no whole day is known of
    open: bool = False  # not over, or newer than the last whole one: looked at for faults alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One column of one slice in one window."""

    bins: Bins
    before: Counts
    now: Counts
    difference: Difference
    rows_needed: int | None
    sure: bool  # whether a finding in so few rows counts
    significant: bool = False
    large: bool = False  # its index matters
    explained: bool = False  # by the time of day
    held: bool = False  # the time of day cannot be told from drift yet
    faults: tuple[FeedFault, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether it counts towards drift."""
        found = self.significant and self.sure and (self.large or bool(self.faults))
        return found and not self.explained and not self.held

    @property
    def silent(self) -> bool:
        """Whether it says nothing, for want of rows."""
        return _few(self.rows_needed, self.now) and not (self.significant and self.sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The windows up to the newest that says anything in which a column moved without a break."""

    windows: int = 0
    faults: tuple[FeedFault, ...] = ()
    since: float | None = None  # start of the first of them


class Found:
    """What each of some windows shows, found when it is first asked for: few looks need all."""

    def __init__(
        self, reference: ReferenceProfile, looks: Sequence[Look], rules: DriftRules
    ) -> None:
        self._reference, self._looks, self._rules = reference, looks, rules
        self._known: dict[int, dict[Key, Finding]] = {}

    def at(self, place: int) -> dict[Key, Finding]:
        """Return the findings of one window."""
        if place not in self._known:
            found = findings(self._reference, self._looks, place, rules=self._rules)
            self._known[place] = found
        return self._known[place]

    def run(self, key: Key, last: int) -> Run:
        """Return in how many windows without a break up to `last` a column moved.

        Those that say nothing are left aside.
        """
        run = Run()
        for place in range(last, -1, -1):
            one = self.at(place).get(key)
            if one is None or one.silent:
                continue
            if not one.moved:
                break
            run = Run(
                windows=run.windows + 1,
                faults=run.faults or one.faults,
                since=self._looks[place].window.start,
            )
        return run

    def told(self) -> dict[Key, int]:
        """Return each column with the window that it is told of.

        That is the newest that says something of it: an hour of the night has few rows.
        """
        places = [place for place, look in enumerate(self._looks) if not look.open]
        told = dict.fromkeys(self.at(places[-1]), places[-1])
        return {key: next(self._saying(key, places), otherwise) for key, otherwise in told.items()}

    def broken(self) -> dict[Key, int]:
        """Return the columns whose feed broke in open windows, with the newest that says so."""
        places = [place for place, look in enumerate(self._looks) if look.open]
        keys = {key for place in places for key in self.at(place)}
        told = {key: next(self._saying(key, places, rows=MENDED_ROWS), None) for key in keys}
        return {
            key: place
            for key, place in told.items()
            if place is not None and self.at(place)[key].moved
        }

    def _saying(self, key: Key, places: Sequence[int], *, rows: float = math.inf) -> Iterator[int]:
        """Yield the windows that say something of a column or hold rows enough, newest first."""
        for place in reversed(places):
            one = self.at(place).get(key)
            if one is not None and (not one.silent or one.now.rows >= rows):
                yield place


def judge(reference: ReferenceProfile, looks: Sequence[Look], *, rules: DriftRules) -> DriftReport:
    """Return the verdict on the newest of some windows; there is at least one, the oldest first.

    The open ones among them come last, and there is one that is not.

    Raises: nothing. The windows are of one deployment, and counted in the bins of the reference.
    """
    found = Found(reference, looks, rules)
    told = found.told()
    newest = looks[max(told.values(), default=sum(not one.open for one in looks) - 1)].window
    columns = sorted(
        (
            _column(key, found.at(place)[key], found.run(key, place), rules=rules)
            for key, place in (told | found.broken()).items()
        ),
        key=_worst_first,
    )
    whole = whole_verdict(columns)
    return DriftReport(
        endpoint=newest.endpoint,
        deployment=newest.deployment,
        version=reference.version,
        start=newest.start,
        until=newest.start + newest.seconds,
        rows=newest.rows.get("", 0),
        verdict=whole,
        columns=tuple(columns),
        because=because_of(whole, columns, rules=rules, seconds=newest.seconds),
    )


def unknown(window: WindowProfile, *, version: str, because: str) -> DriftReport:
    """Return the verdict where there is nothing to compare."""
    return DriftReport(
        endpoint=window.endpoint,
        deployment=window.deployment,
        version=version,
        start=window.start,
        until=window.start + window.seconds,
        rows=window.rows.get("", 0),
        verdict=DriftVerdict.CANNOT_TELL,
        columns=(),
        because=because,
    )


def whole_verdict(columns: Sequence[ColumnDrift]) -> DriftVerdict:
    """Return the verdict on all columns but those that may move.

    A slice with few rows leaves the whole as it is.
    """
    counted = [one for one in columns if not one.may]
    verdicts = {one.verdict for one in counted}
    few = any(one.verdict is DriftVerdict.CANNOT_TELL and not one.slice for one in counted)
    for verdict in (DriftVerdict.DRIFT, DriftVerdict.WATCH):
        if verdict in verdicts:
            return verdict
    return DriftVerdict.CANNOT_TELL if few or not columns else DriftVerdict.FINE


def began(report: DriftReport, columns: Iterable[ColumnDrift]) -> float:
    """Return the start of the first of the windows in which these columns moved without a break."""
    return min((one.since for one in columns if one.since is not None), default=report.start)


def findings(
    reference: ReferenceProfile, looks: Sequence[Look], place: int, *, rules: DriftRules
) -> dict[Key, Finding]:
    """Return what one window shows of each column of each slice that the reference knows."""
    window = looks[place].window
    compared = list(_compared(reference, window))
    chance = rules.false_share / max(len(compared), 1)
    tested = [(key, _tested(*parts, rules=rules, chance=chance)) for key, parts in compared]
    significant = discoveries([one.difference.p for _, one in tested], share=rules.false_share)
    return {
        key: _weighed(key, one, reference, (looks, place), rules=rules) if yes else one
        for (key, one), yes in zip(tested, significant, strict=True)
    }


def _compared(
    reference: ReferenceProfile, window: WindowProfile
) -> Iterator[tuple[Key, tuple[Bins, Counts, Counts]]]:
    bins = {one.column: one for one in reference.bins}
    for name, columns in reference.counts.items():
        held = window.counts.get(name, {})
        for column, before in columns.items():
            if column in held and column in bins:
                yield (name, column), (bins[column], before, held[column])


def _tested(
    bins: Bins, before: Counts, now: Counts, *, rules: DriftRules, chance: float
) -> Finding:
    found = difference(bins, before.places, now.places)
    needed = rows_needed(before.places, index=rules.index, chance=chance)
    return Finding(
        bins=bins,
        before=before,
        now=now,
        difference=found,
        rows_needed=needed,
        sure=not _few(needed, now) or found.p <= chance**SURE,
    )


def _few(needed: int | None, now: Counts) -> bool:
    return needed is None or now.rows < needed


def _weighed(
    key: Key,
    one: Finding,
    reference: ReferenceProfile,
    at: tuple[Sequence[Look], int],
    *,
    rules: DriftRules,
) -> Finding:
    """Return a significant finding with what makes it matter, and what explains it."""
    looks, place = at
    look = looks[place]
    usual = min(reference.usual.get(key[1], 0.0), USUAL_MAX)
    large = one.difference.psi >= max(rules.index, usual)
    # a part of a day has fewer values than a whole one: of an open window only such parts count
    known = [season.hours for season in look.seasons]
    known += [] if look.open else [earlier.window for earlier in looks[:place]]
    beyond = one.sure and one.difference.psi >= usual
    faults = tuple(_faults(one, _of(key, known), rules=rules)) if beyond else ()
    weighed = replace(
        one,
        significant=True,
        large=large and not look.open,
        held=large and look.young and not faults,
        faults=faults,
    )
    matters = large or bool(faults)
    return replace(weighed, explained=matters and _explained(key, weighed, look, rules=rules))


def _of(key: Key, windows: Sequence[WindowProfile]) -> list[Counts]:
    name, column = key
    found = (one.counts.get(name, {}).get(column) for one in windows)
    return [one for one in found if one is not None]


def _faults(one: Finding, earlier: Sequence[Counts], *, rules: DriftRules) -> Iterator[FeedFault]:
    """Yield what no drift of the world does; `earlier` is the column in earlier windows.

    A column that never had two values in a window, such as the month, has not become constant.
    """
    was, is_now = shares(one.bins, one.before), shares(one.bins, one.now)
    varied = any(sum(1 for count in some.places[1:] if count) > 1 for some in earlier)
    rise = max(is_now.missing - was.missing, is_now.not_finite - was.not_finite)
    if conversion(one.bins, one.before, one.now):
        yield FeedFault.UNIT
    if varied and is_constant(one.bins, one.before, one.now):
        yield FeedFault.CONSTANT
    if rise > rules.missing_rise_max:
        yield FeedFault.NULLS
    if is_now.unseen - was.unseen > rules.unseen_max + new_categories(one.bins, one.before):
        yield FeedFault.UNSEEN


def new_categories(bins: Bins, before: Counts) -> float:
    """Return which share of rows may have a category never seen with nothing amiss, 0..1.

    That is at most the share of the categories that were seen once (Good 1953, Biometrika 40,
    237-264); those without a place of their own may all be such.
    """
    once = sum(1 for count in before.places[1:-2] if count == 1)
    return min(1.0, (once + len(bins.unnamed)) / max(before.rows, 1))


def _explained(key: Key, one: Finding, look: Look, *, rules: DriftRules) -> bool:
    """Whether the same hours of earlier days looked as this window does.

    Only days count that were calm as a whole, so that a drift is never its own excuse; of an open
    window all, because what broke on an earlier day is told of that day.
    """
    calm = [
        season.hours
        for season in look.seasons
        for day in _of(key, [season.day])
        if look.open or _calm(one, day, rules=rules)
    ]
    found = _of(key, calm)
    if not found:
        return False
    same = merged_counts(found)
    if same.rows < ALIKE_ROWS * one.now.rows:
        return False
    broken = one.faults and any(_faults(replace(one, before=same), (), rules=rules))
    return not broken and difference(one.bins, same.places, one.now.places).psi < rules.index


def _calm(one: Finding, day: Counts, *, rules: DriftRules) -> bool:
    """Whether a whole day was as the reference."""
    small = difference(one.bins, one.before.places, day.places).psi < rules.index
    return small and not any(_faults(replace(one, now=day), (), rules=rules))


def _column(key: Key, one: Finding, run: Run, *, rules: DriftRules) -> ColumnDrift:
    was, is_now = shares(one.bins, one.before), shares(one.bins, one.now)
    name, column = key
    told = words(one.bins, one.before, one.now)
    return ColumnDrift(
        column=column,
        side=one.bins.side,
        slice=name,
        verdict=_verdict(column, one, run, rules=rules),
        rows=one.now.rows,
        rows_needed=one.rows_needed,
        psi=one.difference.psi,
        p=one.difference.p,
        significant=one.significant,
        windows=run.windows,
        since=run.since,
        may=column in rules.may,
        missing_before=was.missing,
        missing_now=is_now.missing,
        unseen_now=is_now.unseen,
        unseen=tuple(sorted(one.now.unseen, key=lambda text: -one.now.unseen[text])),
        outside_now=is_now.outside,
        faults=run.faults,
        conversion=conversion(one.bins, one.before, one.now) if one.moved else None,
        distributions=distributions(one.bins, one.before, one.now),
        what=remark(told, explained=one.explained, held=one.held),
    )


def _verdict(column: str, one: Finding, run: Run, *, rules: DriftRules) -> DriftVerdict:
    if run.faults or run.windows >= rules.windows:
        return DriftVerdict.WATCH if column in rules.may else DriftVerdict.DRIFT
    if one.silent:
        return DriftVerdict.CANNOT_TELL
    noted = one.difference.psi >= NOTED_SHARE * rules.index and not one.explained
    return DriftVerdict.WATCH if one.significant and noted else DriftVerdict.FINE


ORDER: Final = (
    DriftVerdict.DRIFT,
    DriftVerdict.WATCH,
    DriftVerdict.CANNOT_TELL,
    DriftVerdict.FINE,
)


def _worst_first(one: ColumnDrift) -> tuple[int, bool, float, str, str]:
    return ORDER.index(one.verdict), bool(one.slice), -one.psi, one.column, one.slice
