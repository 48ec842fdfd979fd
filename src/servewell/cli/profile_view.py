"""How a profile looks in a terminal: one line for each column, with small bars."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from servewell.cli.show import moment
from servewell.cli.sparkline import sparkline
from servewell.core.catalog.profile import (
    EVERYTHING,
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    Side,
    TrafficWindow,
    WindowProfile,
)
from servewell.flows.monitoring.profiles import Profiled

BARS_MAX: Final = 20
PROJECTIONS_SHOWN: Final = 3  # of each input or output with many values
NONE: Final = Counts(places=())


def lead(one: Profiled, endpoint: str, *, since: float, until: float) -> str:
    """Return which deployment it is, over what time, and held against what."""
    name = f"{endpoint} / {one.deployment}" if one.deployment else f"{endpoint} (no deployment)"
    span = f"{moment(since)} to {moment(until)} UTC"
    if one.window is None:
        return f"{name}, {span}: no row is counted"
    rows = f"{one.window.rows.get(EVERYTHING, 0):,} rows"
    if one.reference is None:
        return f"{name}, {span}: {rows}"
    return f"{name} ({one.reference.version}), {span}: {rows} against {one.reference.source}"


def traffic_line(traffic: TrafficWindow, latency_ms: Sequence[float] | None) -> str:
    """Return how its requests went."""
    counted = {
        "requests": traffic.requests,
        "failed": traffic.failed,
        "refused": traffic.refused,
        "slow": traffic.slow,
        "late": traffic.late,
        "skewed": traffic.skewed,
        "repeated": traffic.repeated,
        "lost": traffic.lost,
        "damaged bytes": traffic.damaged,
    }
    said = [f"{number:,} {name}" for name, number in counted.items() if number]
    if latency_ms is not None:
        shares = zip(("p50", "p95", "p99"), latency_ms, strict=True)
        said += [f"{name} {value:.2f} ms" for name, value in shares]
    said += [f"{code} {number:,} times" for code, number in sorted(traffic.codes.items())]
    return " · ".join(said) or "no request"


def column_rows(window: WindowProfile, reference: ReferenceProfile) -> list[tuple[str, ...]]:
    """Return a row for each column: its share of missing and outside values, and its bars."""
    before, now = (one.counts.get(EVERYTHING, {}) for one in (reference, window))
    return [
        _row(one, before.get(one.column, NONE), now.get(one.column, NONE))
        for one in _shown(reference.bins)
    ]


def unseen_lines(unseen: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yield a line for each column with texts that the reference never saw."""
    for column, texts in unseen.items():
        told = ", ".join(
            f"{text!r} {rows:,} times" for text, rows in sorted(texts.items(), key=_most)
        )
        yield f"{column}, never seen before, in the last hour: {told}"


def _most(text: tuple[str, int]) -> tuple[int, str]:
    return -text[1], text[0]


def _row(bins: Bins, before: Counts, now: Counts) -> tuple[str, ...]:
    places = now.places or (0,) * bins.places
    told = bins.kind is not ColumnKind.PRESENCE
    outside = places[2] + places[-1] if bins.kind is ColumnKind.NUMBER else places[-1]
    return (
        bins.column,
        _share(places[0], now.rows),
        _share(outside, now.rows) if told else "-",
        _bars(bins, before) if told else "-",
        _bars(bins, now) if told else "-",
        _mean(bins, before),
        _mean(bins, now),
    )


def _shown(bins: Sequence[Bins]) -> list[Bins]:
    seen: dict[str, int] = {}
    shown = []
    for one in bins:
        seen[one.source] = seen.get(one.source, 0) + (one.side is Side.PROJECTION)
        if one.side is not Side.PROJECTION or seen[one.source] <= PROJECTIONS_SHOWN:
            shown.append(one)
    return shown


def _bars(bins: Bins, counts: Counts) -> str:
    if not counts.rows:
        return "-"
    first = 3 if bins.kind is ColumnKind.NUMBER else 1
    inside = counts.places[first:-1] if bins.kind is ColumnKind.NUMBER else counts.places[first:-2]
    shares = [one / counts.rows for one in inside[:BARS_MAX]]
    return sparkline(shares) if shares else "-"


def _mean(bins: Bins, counts: Counts) -> str:
    finite = sum(counts.places[2:])
    if bins.kind is not ColumnKind.NUMBER or not finite:
        return "-"
    return f"{counts.total / finite:.4g}"


def _share(part: int, rows: int) -> str:
    return f"{part / rows:.1%}" if rows else "-"
