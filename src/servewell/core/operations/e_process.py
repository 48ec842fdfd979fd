"""Show that something happens more often to one deployment than to another, at any look.

Requests are allotted at random, so what happens alike to both falls on the candidate in
proportion to its share. Let a window hold n requests of the candidate and n' of the stable one,
rho = n / (n + n'), and let m of them all fail, x of them the candidate's. Where both fail alike,
every choice of m among the n + n' is as likely as any other: x is hypergeometric, whatever the
rate of failure is and however it changes from window to window. For a ratio theta the factor

    theta^x / (rho theta + 1 - rho)^m

has a mean of at most 1, because theta^x is convex in x and sampling without replacement lies below
sampling with replacement in convex order (Hoeffding 1963, Theorem 4), for which the mean is 1
exactly. Where the candidate fails less, x is stochastically smaller and the mean smaller still.
The product over windows is therefore a nonnegative supermartingale however the shares change, if
nothing but the allotment decides when a window ends; so is any mixture over theta, and its
reciprocal is a p-value at every look at once (Ville 1939). Lindon and Malek, "Anytime-valid
inference for multinomial count data", NeurIPS 2022, give the same construction for given shares.

Where more than half of a window fails, the successes are counted instead, with the parts of the
two exchanged: a fault that both share says nothing of either. theta is a ratio of odds, which is
the ratio of rates where failures are rare.

A candidate may turn bad late. Half of the mixture starts with the first window, the other half
with a part in every window, the k-th with 1/(1 + ln k) - 1/(1 + ln(k + 1)) of it: the weights sum
to 1, so it stays an e-process, and a fault after k windows costs about ln k more evidence instead
of undoing all that was good before. (The idea of e-detectors: Shin, Ramdas and Rinaldo, 2024, with
a spent budget instead of a reset.)
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import starmap
from typing import Final

from servewell.core.catalog.evidence import Tally

_STEP: Final = math.log(2) / 8  # of ln(theta)
_LOW, _HIGH = -24, 48  # theta from 1/8 to 64
_LN: Final = tuple(_STEP * k for k in range(_LOW, _HIGH + 1))
_LESS_ONE: Final = tuple(math.expm1(u) for u in _LN)
_ABOVE: Final = -_LOW + 1  # where the ratios above one begin
_TOLERANCE: Final = 1e-6
_LATE_MAX: Final = 1_000  # requests of the candidate; then what was before counts half


def _log_normal(points: tuple[float, ...], *, centre: float, sd: float) -> tuple[float, ...]:
    """Return the logarithms of weights that sum to 1, log-normal over the ratios."""
    raw = [-0.5 * ((u - centre) / sd) ** 2 for u in points]
    total = log_sum(raw)
    return tuple(value - total for value in raw)


def log_sum(logs: list[float]) -> float:
    """Return ln of the sum of the exponentials, without overflow."""
    most = max(logs)
    return most + math.log(math.fsum(math.exp(value - most) for value in logs))


# Weights about a trebling, for what a bad release does, and about no change, for the interval.
_WORSE: Final = _log_normal(_LN[_ABOVE:], centre=math.log(3), sd=1.0)
_ANY: Final = _log_normal(_LN, centre=0.0, sd=math.log(2))


def counted(tally: Tally, *, requests: tuple[int, int], events: tuple[int, int]) -> Tally:
    """Return the tally with one window more; pairs are (stable, candidate).

    A window without requests of one of them, or where it happened to none or to all, shows
    nothing and is only added up.
    """
    summed = _summed(tally, requests, events)
    total, happened = sum(requests), sum(events)
    if min(requests) == 0 or happened in (0, total):
        return summed
    if 2 * happened <= total:
        return _grown(summed, hits=events[1], of=happened, share=requests[1] / total)
    spared = requests[0] - events[0]
    return _grown(summed, hits=spared, of=total - happened, share=requests[0] / total)


def _summed(tally: Tally, requests: tuple[int, int], events: tuple[int, int]) -> Tally:
    part = 2 if tally.late_requests[1] >= _LATE_MAX else 1
    late, late_events = tally.late_requests, tally.late_events
    return replace(
        tally,
        requests=(tally.requests[0] + requests[0], tally.requests[1] + requests[1]),
        events=(tally.events[0] + events[0], tally.events[1] + events[1]),
        late_requests=(late[0] // part + requests[0], late[1] // part + requests[1]),
        late_events=(late_events[0] // part + events[0], late_events[1] // part + events[1]),
    )


def _grown(tally: Tally, *, hits: int, of: int, share: float) -> Tally:
    """Multiply by theta^hits / (share theta + 1 - share)^of, for every theta."""
    spread = [of * math.log1p(share * less) for less in _LESS_ONE]
    lifts = [hits * u - s for u, s in zip(_LN[_ABOVE:], spread[_ABOVE:], strict=True)]
    number = tally.windows + 1
    start = math.log(_unspent(number) - _unspent(number + 1))
    before = tally.growth
    growth = tuple(
        (_log_add(before[k], start) if before else start) + lift for k, lift in enumerate(lifts)
    )
    mixed = log_sum([w + g for w, g in zip(_WORSE, growth, strict=True)])
    now = _log_add(mixed, math.log(_unspent(number + 1)))
    old = tally.spread or (0.0,) * len(spread)
    return replace(
        tally,
        windows=number,
        hits=tally.hits + hits,
        spread=tuple(starmap(float.__add__, zip(old, spread, strict=True))),
        growth=growth,
        peak=max(tally.peak, now),
    )


def _unspent(number: int) -> float:
    """Return the weight of the starts from the `number`-th on; 1 for the first."""
    return 1.0 if number == 1 else 0.5 / (1.0 + math.log(number))


def _log_add(a: float, b: float) -> float:
    high, low = (a, b) if a > b else (b, a)
    return high + math.log1p(math.exp(low - high))


def p_worse(tally: Tally) -> float:
    """Return the p-value of "not more often to the candidate", valid at every look; in (0, 1]."""
    return math.exp(-min(tally.peak, 700.0))


def ratio_interval(tally: Tally, alpha: float) -> tuple[float, float | None]:
    """Return a confidence sequence of the ratio of odds, candidate to stable, at 1 - alpha.

    The ratios against which the mixture over all ratios has grown by less than 1/alpha (Robbins
    1970). No upper end below 64 is None; 0 is no lower end above 1/8.
    """
    if not tally.spread:
        return 0.0, None
    bar = math.log(alpha) + log_sum(
        [w + tally.hits * u - s for w, u, s in zip(_ANY, _LN, tally.spread, strict=True)]
    )

    def kept(u: float) -> bool:
        return tally.hits * u - _interpolated(tally.spread, u) > bar

    mode = _mode(tally)
    low = 0.0 if kept(_LN[0]) else math.exp(bisect_edge(kept, inside=mode, outside=_LN[0]))
    if kept(_LN[-1]):
        return low, None
    return low, math.exp(bisect_edge(kept, inside=mode, outside=_LN[-1]))


def _mode(tally: Tally) -> float:
    """Return the ln(theta) of the largest likelihood; it is concave in ln(theta)."""
    left, right = _LN[0], _LN[-1]
    while right - left > _TOLERANCE:
        third = (right - left) / 3
        a, b = left + third, right - third
        at_a = tally.hits * a - _interpolated(tally.spread, a)
        at_b = tally.hits * b - _interpolated(tally.spread, b)
        left, right = (a, right) if at_a < at_b else (left, b)
    return (left + right) / 2


def _interpolated(values: tuple[float, ...], u: float) -> float:
    """Return the value at ln(theta) = u: the cubic through the four nearest points of the grid."""
    first = min(max(int((u - _LN[0]) / _STEP) - 1, 0), len(values) - 4)
    t = (u - _LN[first]) / _STEP
    a, b, c, d = values[first : first + 4]
    return (
        -a * (t - 1) * (t - 2) * (t - 3) / 6
        + b * t * (t - 2) * (t - 3) / 2
        - c * t * (t - 1) * (t - 3) / 2
        + d * t * (t - 1) * (t - 2) / 6
    )


def bisect_edge(kept: Callable[[float], bool], *, inside: float, outside: float) -> float:
    """Return where `kept` ends between a point that it holds at and one that it does not."""
    while abs(outside - inside) > _TOLERANCE * max(1.0, abs(inside)):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return outside


def share_interval(requests: int, events: int, alpha: float) -> tuple[float, float]:
    """Return a confidence sequence of the mean share of requests it happens to, at 1 - alpha.

    A sum of Bernoulli variables of any changing means has a moment generating function below that
    of the Poisson variable with the same sum L of means, so exp(L) x! / (1 + L)^(1 + x), the
    mixture of Poisson likelihood ratios with an exponential prior, is an e-process at the true L.
    """
    if requests == 0:
        return 0.0, 1.0
    bar = -math.log(alpha) - math.lgamma(1 + events)

    def kept(mean: float) -> bool:
        return mean - (1 + events) * math.log1p(mean) < bar

    top = 2.0 * events + 16.0
    while kept(top):
        top *= 2
    high = bisect_edge(kept, inside=float(events), outside=top)
    low = 0.0 if kept(0.0) else bisect_edge(kept, inside=float(events), outside=0.0)
    return min(low / requests, 1.0), min(high / requests, 1.0)
