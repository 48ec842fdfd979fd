"""Counting how callers were answered: requests, failures, error codes and latencies."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from datasketches import kll_floats_sketch  # type: ignore[import-untyped]  # has no types

from servewell.adapters.embedded.monitoring.cells import Mask, Whole
from servewell.adapters.embedded.monitoring.part_reading import (
    MICROSECONDS,
    OK,
    SPENT,
    Portion,
    minutes_of,
)
from servewell.adapters.embedded.monitoring.window_rows import SKETCH_K, merged_sketches
from servewell.core.catalog.profile import MINUTE_S, TrafficWindow
from servewell.core.operations.monitoring.profiles import merged_traffic
from servewell.ports.profiles import Part

LATE_S: Final = 3_600
OURS: Final = 500  # from which a status is a fault of ours
THEIRS: Final = 400


def traffic_in(
    part: Part, portion: Portion, *, objective_ms: float, now: float
) -> Iterator[TrafficWindow]:
    """Yield a window for each deployment and minute of what callers asked."""
    mine = portion.begins & ~portion.shadows()
    once = portion.counts[mine]
    deployments, names = portion.coded("deployment")
    codes, words = portion.coded("code")
    minutes, ahead = minutes_of(portion.times[mine], now)
    status = portion.numbers("status")[mine]
    spent_ms = np.sum([portion.numbers(name)[mine] for name in SPENT], axis=0) / 1_000
    well = (status >= OK.start) & (status < OK.stop)
    late = portion.times[mine] // MICROSECONDS < now - LATE_S
    for (deployment, start), rows in _by_key(deployments[mine], minutes):
        those = rows[once[rows]]
        answered = those[well[those]]
        yield TrafficWindow(
            endpoint=part.endpoint,
            deployment=names[deployment],
            start=start,
            seconds=MINUTE_S,
            requests=len(those),
            failed=_number(status[those] >= OURS),
            refused=_number((status[those] >= THEIRS) & (status[those] < OURS)),
            slow=_number(spent_ms[answered] > objective_ms),
            skewed=_number(ahead[those]),
            repeated=len(rows) - len(those),
            codes=_tally(codes[mine][those], words),
            latency=_sketch(spent_ms[answered]),
        )
    came_late = np.bincount(deployments[mine][once & late], minlength=len(names))
    for name, number in zip(names, came_late.tolist(), strict=True):
        if number:
            yield found_now(part, name, now, late=number)


def _by_key(first: Whole, second: Whole) -> Iterator[tuple[tuple[int, int], Whole]]:
    """Yield the rows of each pair of values."""
    order = np.lexsort((second, first))
    pairs = np.stack([first[order], second[order]], axis=1)
    starts = np.flatnonzero(np.any(pairs[1:] != pairs[:-1], axis=1)) + 1
    for rows in np.split(order, starts) if len(order) else ():
        yield (int(first[rows[0]]), int(second[rows[0]])), rows


def _number(rows: Mask) -> int:
    return int(np.count_nonzero(rows))


def found_now(part: Part, deployment: str, now: float, **numbers: int) -> TrafficWindow:
    """Return what was found out while a part was counted, in the minute in which it was."""
    return TrafficWindow(
        endpoint=part.endpoint,
        deployment=deployment,
        start=int(now) // MINUTE_S * MINUTE_S,
        seconds=MINUTE_S,
        **numbers,  # type: ignore[arg-type]  # all of them are counters
    )


def _tally(codes: Whole, words: Sequence[str]) -> dict[str, int]:
    numbers = np.bincount(codes, minlength=len(words)).tolist()
    return {word: number for word, number in zip(words, numbers, strict=True) if word and number}


def _sketch(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    if not len(values):
        return b""
    sketch = kll_floats_sketch(SKETCH_K)
    sketch.update(values.astype(np.float32))
    data: bytes = sketch.serialize()
    return data


def minute_by_minute(windows: Sequence[TrafficWindow]) -> Iterator[TrafficWindow]:
    """Yield one window for each deployment and minute."""
    groups: dict[tuple[str, int], list[TrafficWindow]] = {}
    for one in windows:
        groups.setdefault((one.deployment, one.start), []).append(one)
    return (merged_traffic(group, sketches=merged_sketches) for group in groups.values())
