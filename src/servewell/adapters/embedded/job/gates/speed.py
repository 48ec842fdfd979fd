"""How long one row takes on this machine, beside the champion, and how much memory it holds."""

from time import perf_counter_ns
from typing import Final

import numpy as np

from servewell.adapters.embedded.job.gates.contenders import NoAnswerError, Runner
from servewell.adapters.embedded.job.study.graphs import Feed
from servewell.adapters.embedded.job.study.rows import count, part
from servewell.adapters.embedded.job.study.timing import Times, speedup
from servewell.core.operations.gate_measures import Interval, Speed

ROUNDS: Final = 12
SLICE_S: Final = 0.02  # of a version in a round
CALLS_MIN: Final = 3  # of a version in a round
CALLS_MAX: Final = 2_000
REQUESTS: Final = 64  # different rows
NANOSECONDS: Final = 1e9
SLOW: Final = 0.99
NS_PER_MS: Final = 1e6
SHARES: Final = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995)


def speed(candidate: Runner, feed: Feed, champion: tuple[Runner, Feed] | None) -> Speed | None:
    """Return the speed of a version; None where it answers no row.

    Both take turns, in another order each time, so that a machine that gets slower on the way does
    so for both. A round before the first is thrown away. The 99th percentile is that of the median
    round: what else this machine does for a moment is no fault of a version.
    """
    contenders = [(candidate, _requests(feed))]
    if champion is not None and _answers(*champion):
        contenders.append((champion[0], _requests(champion[1])))
    times = [Times() for _ in contenders]
    slow: list[list[float]] = [[] for _ in contenders]
    try:
        for number in range(-1, ROUNDS):
            for place in range(len(contenders)):
                turn = (place + number) % len(contenders)
                taken = _calls(*contenders[turn])
                if number >= 0:
                    times[turn].single.extend(taken)
                    times[turn].typical[1].append(float(np.median(taken)))
                    slow[turn].append(float(np.quantile(taken, SLOW)) / NS_PER_MS)
    except NoAnswerError:
        return None
    return _told(candidate, times, [float(np.median(one)) for one in slow])


def _told(candidate: Runner, times: list[Times], p99_ms: list[float]) -> Speed:
    own, other = times[0], times[1] if len(times) > 1 else None
    ratio = speedup(own, other, 1) if other else None
    return Speed(
        p50_ms=_ms(own, 0.5),
        p99_ms=p99_ms[0],
        calls=len(own.single),
        memory_bytes=candidate.running.memory_bytes(),
        champion_p50_ms=_ms(other, 0.5) if other else None,
        champion_p99_ms=p99_ms[1] if other else None,
        ratio=Interval(value=ratio.value, low=ratio.low, high=ratio.high) if ratio else None,
        shares=tuple(
            (share, _ms(own, share), _ms(other, share) if other else None) for share in SHARES
        ),
    )


def _ms(times: Times, share: float) -> float:
    return times.latency_us(share) / 1_000


def _requests(feed: Feed) -> list[Feed]:
    rows = np.linspace(0, count(feed) - 1, min(REQUESTS, count(feed))).astype(int)
    return [part(feed, slice(row, row + 1)) for row in rows]


def _answers(runner: Runner, feed: Feed) -> bool:
    try:
        runner.running.run(part(feed, slice(0, 1)))
    except NoAnswerError:
        return False
    return True


def _calls(runner: Runner, requests: list[Feed]) -> list[int]:
    """Call a version for a while; return what each call took, in nanoseconds."""
    taken: list[int] = []
    until = perf_counter_ns() + int(SLICE_S * NANOSECONDS)
    while len(taken) < CALLS_MIN or (perf_counter_ns() < until and len(taken) < CALLS_MAX):
        feed = requests[len(taken) % len(requests)]
        started = perf_counter_ns()
        runner.running.run(feed)
        taken.append(perf_counter_ns() - started)
    return taken
