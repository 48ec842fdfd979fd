"""What a load test measured, second by second and stage by stage, and what it says.

Latency counts from when a request was due, not from when it was sent: a request that had to wait
for the server to answer others waited all the same ("coordinated omission", G. Tene).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from servewell.core.performance.load_plan import Stage, StopRule

LOWEST_US: Final = 10.0
GROWTH: Final = 1.02  # of one bound of the histogram to the next: percentiles are right to 2 %
GOOD: Final = "200"
LITTLE_TOLERANCE: Final = 0.05
LITTLE_REQUESTS_MIN: Final = 100
ERROR_SHARE_MAX: Final = 0.001  # of the requests of a stage that still counts as carried
CARRIED_SHARE: Final = 0.98  # of what was offered
LATE_SHARE: Final = 0.1  # of the objective; a sender that was later than that is told of
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One second of one stage, or several put together. Times are in seconds."""

    stage: int
    at: float  # since the start of the test
    seconds: float
    due: int = 0  # requests that became due
    open_s: float = 0.0  # of `seconds`, those in which requests could become due
    statuses: dict[str, int] = field(default_factory=dict)  # HTTP status, or what went wrong
    latency_sum_s: float = 0.0  # of all that ended, whatever came of them
    good_within: int = 0  # answered with 200 within the objective
    in_flight_s: float = 0.0  # requests due and not ended, integrated over time
    behind_s: float = 0.0  # the longest that a request waited for a free connection
    late_s: float = 0.0  # the longest that the sender itself was late for a request
    buckets: dict[int, int] = field(default_factory=dict)  # of the latencies of answers with 200
    # What happened in it to requests of stages before: these windows have no seconds of their own.
    earlier: tuple["Window", ...] = ()

    @property
    def whole(self) -> "Window":
        """Return all that happened in it, whichever stage it belongs to."""
        return together((self, *self.earlier)) if self.earlier else self

    @property
    def ended(self) -> int:
        """Return how many requests ended."""
        return sum(self.statuses.values())

    @property
    def answered(self) -> int:
        """Return how many were answered with 200."""
        return self.statuses.get(GOOD, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LittlesLaw:
    """Whether the measurement agrees with itself: L = λ W.

    The requests in flight, integrated over time, and the latencies, summed up over requests, are
    counted apart from each other; in a steady state they must agree.

    Source: J. D. C. Little, "A Proof for the Queuing Formula: L = λW", Operations Research 9, 1961.
    """

    in_flight: float  # L, the mean number of requests due and not ended
    by_latency: float  # λ W
    holds: bool | None  # None where there is too little to say

    @property
    def gap(self) -> float:
        """Return by what share the two differ."""
        return abs(self.in_flight - self.by_latency) / max(self.in_flight, self.by_latency, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What one stage says."""

    stage: str
    seconds: float
    offered_per_s: float
    answered_per_s: float  # with 200
    good_per_s: float  # with 200 and within the objective
    percentiles_ms: dict[str, float]  # of answers with 200; empty without one
    statuses: dict[str, int]
    littles_law: LittlesLaw
    carried: bool  # whether the endpoint kept its objective at this rate
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDecision:
    """Whether a test goes on."""

    stop: bool
    because: str = ""


def bucket(latency_us: float) -> int:
    """Return the bucket of a latency."""
    return max(0, math.ceil(math.log(max(latency_us, LOWEST_US) / LOWEST_US, GROWTH)))


def upper_ms(number: int) -> float:
    """Return the upper bound of a bucket, in milliseconds."""
    return float(LOWEST_US * GROWTH**number / 1e3)


def percentile_ms(buckets: dict[int, int], percent: float) -> float | None:
    """Return a percentile in milliseconds, at most 2 % too high; None where there is nothing."""
    wanted = math.ceil(sum(buckets.values()) * percent / 100)
    seen = 0
    for number in sorted(buckets):
        seen += buckets[number]
        if seen >= wanted:
            return upper_ms(number)
    return None


def together(windows: Sequence[Window]) -> Window:
    """Return windows as one."""
    statuses: dict[str, int] = {}
    buckets: dict[int, int] = {}
    for one in windows:
        for status, count in one.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
        for number, count in one.buckets.items():
            buckets[number] = buckets.get(number, 0) + count
    return replace(
        windows[0],
        seconds=sum(one.seconds for one in windows),
        due=sum(one.due for one in windows),
        open_s=sum(one.open_s for one in windows),
        statuses=statuses,
        latency_sum_s=sum(one.latency_sum_s for one in windows),
        good_within=sum(one.good_within for one in windows),
        in_flight_s=sum(one.in_flight_s for one in windows),
        behind_s=max(one.behind_s for one in windows),
        late_s=max(one.late_s for one in windows),
        buckets=buckets,
        earlier=(),
    )


def results(
    stages: Sequence[Stage], windows: Iterable[Window], objective_ms: float
) -> list[StageResult]:
    """Return what each stage says that was begun; an answer belongs to the stage that asked."""
    by_stage: dict[int, list[Window]] = {}
    for window in windows:
        for one in (window, *window.earlier):
            by_stage.setdefault(one.stage, []).append(one)
    return [
        _result(stages[number], together(own), objective_ms)
        for number, own in sorted(by_stage.items())
    ]


def capacity_per_s(found: Iterable[StageResult]) -> float | None:
    """Return the highest rate that was offered and carried; None where none was."""
    return max((one.offered_per_s for one in found if one.carried), default=None)


def littles_law(window: Window) -> LittlesLaw:
    """Check a window against Little's law."""
    in_flight = window.in_flight_s / window.seconds
    by_latency = window.latency_sum_s / window.seconds
    law = LittlesLaw(in_flight=in_flight, by_latency=by_latency, holds=None)
    if window.ended < LITTLE_REQUESTS_MIN:
        return law
    return replace(law, holds=law.gap <= LITTLE_TOLERANCE)


def decide_stop(rule: StopRule, newest: Sequence[Window]) -> StopDecision:
    """Return whether what follows would say nothing new; the last of `newest` is the newest."""
    last = [one.whole for one in newest[-rule.for_s :]]
    if len(last) < rule.for_s:
        return StopDecision(stop=False)
    if all(one.ended and 1 - one.answered / one.ended >= rule.failing_share for one in last):
        return StopDecision(
            stop=True,
            because=f"for {rule.for_s} s, {rule.failing_share:.0%} of the requests and more got "
            f"no good answer: {_most(last[-1])}",
        )
    if all(one.behind_s >= rule.behind_s for one in last):
        return StopDecision(
            stop=True,
            because=f"for {rule.for_s} s, requests were sent {rule.behind_s:g} s late and more, "
            "because every connection waited for an answer",
        )
    if all(one.late_s >= rule.late_s for one in last):
        return StopDecision(
            stop=True,
            because=f"for {rule.for_s} s, this machine sent requests {rule.late_s:g} s late and "
            "more: it has too little to spare for such a rate",
        )
    return StopDecision(stop=False)


def _result(stage: Stage, whole: Window, objective_ms: float) -> StageResult:
    found = {f"p{one:g}": percentile_ms(whole.buckets, one) for one in PERCENTILES}
    percentiles = {name: value for name, value in found.items() if value is not None}
    offered = whole.due / max(whole.open_s, 1e-9)
    answered = whole.answered / whole.seconds
    because = _not_carried(whole, percentiles.get("p99"), objective_ms)
    return StageResult(
        stage=stage.words,
        seconds=whole.seconds,
        offered_per_s=offered,
        answered_per_s=answered,
        good_per_s=whole.good_within / whole.seconds,
        percentiles_ms=percentiles,
        statuses=whole.statuses,
        littles_law=littles_law(whole),
        carried=not because,
        because=because
        or f"p99 {percentiles['p99']:.1f} ms is within the objective of {objective_ms:g} ms",
    )


def _not_carried(whole: Window, p99_ms: float | None, objective_ms: float) -> str:
    """Return why the endpoint did not keep its objective; empty where it did."""
    failed = whole.ended - whole.answered
    if p99_ms is None:
        return "nothing was answered"
    if failed > ERROR_SHARE_MAX * whole.ended:
        return f"{failed / whole.ended:.1%} of the requests got no good answer: {_most(whole)}"
    if whole.ended < CARRIED_SHARE * whole.due:
        return f"{whole.due - whole.ended:,} requests were still waiting at the end"
    if p99_ms > objective_ms:
        late = f"; the sender itself was up to {whole.late_s * 1e3:.0f} ms late"
        told = late if whole.late_s * 1e3 > LATE_SHARE * objective_ms else ""
        return f"p99 {p99_ms:.1f} ms is over the objective of {objective_ms:g} ms{told}"
    return ""


def _most(window: Window) -> str:
    failures = {name: count for name, count in window.statuses.items() if name != GOOD}
    name, count = max(failures.items(), key=lambda one: one[1])
    return f"{count:,} times {name}"
