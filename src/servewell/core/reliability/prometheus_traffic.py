"""What Prometheus counts for an objective on the requests of an endpoint.

For each window of a burn rate all events and the bad ones are recorded, and for the long ones the
least number of bad events that chance does not explain. What a caller did wrong is no event of the
availability; the histogram of latencies knows no status, so there each answer is one.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from servewell.core.catalog.latency_bounds import TIMES_NS
from servewell.core.catalog.objective import Objective, ObjectiveKind
from servewell.core.catalog.prometheus_rule import PrometheusRule
from servewell.core.reliability.burn_rate import Z_95, rules_for

UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))
MILLISECOND_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
LONGEST_MS: Final = TIMES_NS[-1] / MILLISECOND_NS  # beyond it the histogram knows no bound


def is_counted(objective: Objective, *, latency_ms: float) -> bool:
    """Whether Prometheus can count the events of an objective: requests, by what buckets know."""
    if objective.kind is ObjectiveKind.LATENCY:
        return latency_ms <= LONGEST_MS
    return objective.kind is ObjectiveKind.AVAILABILITY


def traffic_rules(objective: Objective, *, latency_ms: float) -> Iterator[PrometheusRule]:
    """Yield the recording rules of an objective on requests.

    The least number of bad events is the lower bound of 95 % of a Poisson count (Garwood 1936, by
    Wilson and Hilferty's cube), as in `burn_rate.poisson_lower`.

    Units:  `latency_ms` is the time within which an answer is good.
    Raises: nothing.
    """
    rules = rules_for(objective)
    for seconds in sorted({one for rule in rules for one in (rule.long_s, rule.short_s)}):
        window, bad = duration(seconds), series(objective, "bad", seconds)
        yield _recorded(objective, "all", seconds, _all(objective, window))
        yield _recorded(objective, "bad", seconds, _bad(objective, window, latency_ms))
        if any(rule.long_s == seconds for rule in rules):
            chance = f"1 / (9 * {bad}) + {Z_95 / 3:.6f} / sqrt({bad})"
            least = f"{bad}\n* clamp_min(1 - ({chance}), 0) ^ 3"
            yield _recorded(objective, "least", seconds, least)


def duration(seconds: float) -> str:
    """Return a time of whole minutes as Prometheus writes it: `5m`, `6h`, `3d`."""
    length, unit = next(one for one in UNITS if seconds % one[0] == 0)
    return f"{int(seconds // length)}{unit}"


def series(objective: Objective, what: str, seconds: float) -> str:
    """Return what was recorded over a window: `all` events, the `bad`, or the `least` of these."""
    return f"{_name(objective, what, seconds)}{_of(objective)}"


def _recorded(objective: Objective, what: str, seconds: float, expr: str) -> PrometheusRule:
    return PrometheusRule(record=_name(objective, what, seconds), expr=expr)


def _name(objective: Objective, what: str, seconds: float) -> str:
    return f"endpoint:servewell_{objective.kind}_{what}:increase{duration(seconds)}"


def _of(objective: Objective, more: str = "") -> str:
    return f'{{endpoint="{objective.endpoint}"{more}}}'


def _all(objective: Objective, window: str) -> str:
    if objective.kind is ObjectiveKind.LATENCY:
        return _increase(f"servewell_request_seconds_count{_of(objective)}", window)
    return _of_callers(_of(objective, ', status!="4xx"'), window)


def _bad(objective: Objective, window: str, latency_ms: float) -> str:
    if objective.kind is ObjectiveKind.LATENCY:
        return f"{_all(objective, window)}\n- ({_in_time(objective, window, latency_ms)})"
    return _of_callers(_of(objective, ', status="5xx"'), window)


def _of_callers(of: str, window: str) -> str:
    """Return all requests for an endpoint: those that reached a deployment, and those refused."""
    return (
        f"sum by (job, endpoint) (increase(servewell_requests_total{of}[{window}]) "
        f"or increase(servewell_unserved_total{of}[{window}]))"
    )


def _in_time(objective: Objective, window: str, latency_ms: float) -> str:
    """Return how many answers were in time.

    Between two bounds of the buckets they are taken as evenly spread, as `histogram_quantile` does.
    """
    wanted = latency_ms * MILLISECOND_NS
    above = bisect_left(TIMES_NS, wanted)
    low, high = (TIMES_NS[above - 1] if above else 0), TIMES_NS[above]
    part = (wanted - low) / (high - low)
    weighed = ((high, part), (low, 1.0 - part))
    return "\n+ ".join(
        _increase(_bucket(objective, bound), window) + (f" * {weight:g}" if weight != 1 else "")
        for bound, weight in weighed
        if weight and bound
    )


def _bucket(objective: Objective, bound_ns: int) -> str:
    le = f', le="{bound_ns / SECOND_NS}"'
    return f"servewell_request_seconds_bucket{_of(objective, le)}"


def _increase(counted: str, window: str) -> str:
    return f"sum by (job, endpoint) (increase({counted}[{window}]))"
