"""Bound the difference of two means, candidate less stable, at every look at once.

Within a window of n requests of the candidate and n' of the stable one, the difference d of the
two means is free of whatever changed for both. Windows are weighted by w = n n' / (n + n'), which
is proportional to the precision of d, so shares may change between them at will. The sum of
w (d - delta) is then a martingale in windows, delta being the difference of the expectations, and

    D +- sqrt(V / W) * sqrt( 2 (W r^2 + 1) / (W^2 r^2) * ln( sqrt(W r^2 + 1) / alpha ) )

with D = sum of w d / W, W = sum of w and V an estimate of the variance of the sum, is an asymptotic
confidence sequence for the running mean difference: Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of
Statistics 52, 2024 (arXiv 2103.06476), the form for martingales with varying means and variances,
with W as the time. r is chosen so that the interval is shortest at `TUNED_PAIRS`.

V is the larger of two estimates: from the variances of the two within all windows, and from how the
differences themselves vary between windows. The second counts what requests of one window share,
like a pause of the process that answers them.
"""

import math
from dataclasses import replace
from typing import Final

from servewell.core.catalog.evidence import Contrast, Moments

SAMPLES_MIN: Final = 100  # of each: the sequence is asymptotic
WINDOWS_MIN: Final = 10
TUNED_PAIRS: Final = 1_000.0


def moments(values: tuple[float, ...] | list[float]) -> Moments:
    """Return the moments of finite values."""
    if not values:
        return Moments()
    mean = math.fsum(values) / len(values)
    return Moments(
        n=len(values), mean=mean, squares=math.fsum([(value - mean) ** 2 for value in values])
    )


def merged(a: Moments, b: Moments) -> Moments:
    """Return the moments of both together (Chan, Golub and LeVeque 1983)."""
    if not a.n or not b.n:
        return b if b.n else a
    n = a.n + b.n
    gap = b.mean - a.mean
    return Moments(
        n=n,
        mean=a.mean + gap * b.n / n,
        squares=a.squares + b.squares + gap * gap * a.n * b.n / n,
    )


def contrasted(contrast: Contrast, stable: Moments, candidate: Moments) -> Contrast:
    """Return the contrast with one window more; one without values of both adds nothing."""
    if not stable.n or not candidate.n:
        return contrast
    w = stable.n * candidate.n / (stable.n + candidate.n)
    d = candidate.mean - stable.mean
    return replace(
        contrast,
        stable=merged(contrast.stable, stable),
        candidate=merged(contrast.candidate, candidate),
        windows=contrast.windows + 1,
        weight=contrast.weight + w,
        difference=contrast.difference + w * d,
        weight2=contrast.weight2 + w * w,
        difference2=contrast.difference2 + w * w * d,
        square2=contrast.square2 + (w * d) ** 2,
        load=(contrast.load[0] + w * w / stable.n, contrast.load[1] + w * w / candidate.n),
    )


def estimate(contrast: Contrast) -> float:
    """Return the weighted mean difference; 0 before there is one."""
    return contrast.difference / contrast.weight if contrast.weight else 0.0


def enough(contrast: Contrast) -> bool:
    """Whether there is enough of each for an asymptotic interval."""
    return (
        min(contrast.stable.n, contrast.candidate.n) >= SAMPLES_MIN
        and contrast.windows >= WINDOWS_MIN
    )


def difference_interval(contrast: Contrast, alpha: float) -> tuple[float, float] | None:
    """Return the confidence sequence of the mean difference at 1 - alpha; None before `enough`."""
    if not enough(contrast):
        return None
    pairs = contrast.weight
    tune = -2 * math.log(alpha)
    r2 = (tune + math.log(tune + 1)) / TUNED_PAIRS
    grown = pairs * r2 + 1
    radius = math.sqrt(2 * grown / (pairs * pairs * r2) * math.log(math.sqrt(grown) / alpha))
    half = math.sqrt(_variance(contrast) / pairs) * radius
    middle = estimate(contrast)
    return middle - half, middle + half


def _variance(contrast: Contrast) -> float:
    """Return an estimate of the variance of the weighted sum of the differences."""
    within = sum(
        load * one.squares / (one.n - 1)
        for load, one in zip(contrast.load, (contrast.stable, contrast.candidate), strict=True)
    )
    middle = estimate(contrast)
    between = contrast.square2 - 2 * middle * contrast.difference2 + middle**2 * contrast.weight2
    return max(within, between * contrast.windows / (contrast.windows - 1), 0.0)
