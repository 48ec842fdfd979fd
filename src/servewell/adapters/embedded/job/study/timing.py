"""How fast models are beside each other on this machine.

In each round every model takes its turn, in another order each time, so that a machine that gets
slower or faster on the way does so for all of them. What is compared is the typical time of a
round, round by round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from time import perf_counter_ns
from typing import Final

import numpy as np
import onnxruntime

from servewell.adapters.embedded.job.study.graphs import Feed
from servewell.core.performance.optimisation import BATCHES, Estimate

CALLS_MIN: Final = 3  # a turn
CONFIDENCE: Final = 0.95
NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What the calls of one model took, in nanoseconds."""

    typical: dict[int, list[float]] = field(  # by rows of a call: the median of each round
        default_factory=lambda: {rows: [] for rows in BATCHES}
    )
    single: list[int] = field(default_factory=list)  # each call with one row

    def latency_us(self, share: float) -> float:
        """Return the time of a call with one row that `share` of the calls keep to."""
        return float(np.quantile(self.single, share)) / 1_000

    def rows_per_s(self, rows: int) -> float:
        """Return how many rows a second calls of `rows` rows answer."""
        return rows * NANOSECONDS / float(np.median(self.typical[rows]))


def measure(
    sessions: Mapping[str, onnxruntime.InferenceSession],
    feeds: Mapping[int, Sequence[Feed]],
    *,
    rounds: int,
    slice_s: float,
    done: Callable[[int], None],
) -> dict[str, Times]:
    """Return the times of each model; `feeds` are requests of each number of rows.

    A round before the first is thrown away: it warms caches and memory. `done` is told the number
    of each round that is over.
    """
    names = list(sessions)
    times = {name: Times() for name in names}
    for number in range(-1, rounds):
        first = number % len(names)
        turn = [*names[first:], *names[:first]]
        for rows in BATCHES:
            for name in turn:
                taken = _calls(sessions[name], feeds[rows], slice_s)
                if number >= 0:
                    times[name].typical[rows].append(float(np.median(taken)))
                    times[name].single.extend(taken if rows == 1 else [])
        done(number + 1)
    return times


def speedup(original: Times, variant: Times, rows: int) -> Estimate:
    """Return how many times as fast a variant is: the median of the rounds' ratios.

    Source of the interval, which supposes no distribution: G. J. Hahn and W. Q. Meeker,
    "Statistical Intervals", 1991, section 5.2: order statistics around the median.
    """
    ratios = np.sort(np.array(original.typical[rows]) / np.array(variant.typical[rows]))
    place = _place(len(ratios))
    return Estimate(
        value=float(np.median(ratios)), low=float(ratios[place]), high=float(ratios[-1 - place])
    )


def _place(count: int) -> int:
    """Return how many of `count` sorted values lie outside the interval on each side."""
    outside, place = 2 * 0.5**count, 0
    while outside + 2 * comb(count, place + 1) * 0.5**count <= 1 - CONFIDENCE:
        place += 1
        outside += 2 * comb(count, place) * 0.5**count
    return place


def _calls(
    session: onnxruntime.InferenceSession, feeds: Sequence[Feed], slice_s: float
) -> list[int]:
    """Call a model for a while; return what each call took."""
    taken: list[int] = []
    until = perf_counter_ns() + int(slice_s * NANOSECONDS)
    while len(taken) < CALLS_MIN or perf_counter_ns() < until:
        feed = feeds[len(taken) % len(feeds)]
        started = perf_counter_ns()
        session.run(None, feed)
        taken.append(perf_counter_ns() - started)
    return taken
