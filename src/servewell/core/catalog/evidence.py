"""What a judge remembers of a rollout: running statistics, a few hundred numbers whatever came.

Pairs are always (stable, candidate). Everything is a number, a string or a tuple of them, so that
`msgspec.to_builtins` and `msgspec.convert` bring it to JSON and back unchanged.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often something unwanted happened to the requests of each, and what that shows."""

    requests: tuple[int, int] = (0, 0)
    events: tuple[int, int] = (0, 0)
    late_requests: tuple[int, int] = (0, 0)  # halved again and again: those of late
    late_events: tuple[int, int] = (0, 0)
    windows: int = 0  # in which it happened to some and not to all
    hits: int = 0  # exponent of the ratio in the likelihood
    spread: tuple[float, ...] = ()  # logarithm of its divisor, for each ratio of the grid
    growth: tuple[float, ...] = ()  # logarithm of the e-process of each ratio above one
    peak: float = 0.0  # the largest logarithm of the mixture so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Count, mean, and the sum of the squares of the deviations from it."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """The difference of two means, candidate less stable, summed over windows."""

    stable: Moments = Moments()
    candidate: Moments = Moments()
    windows: int = 0
    weight: float = 0.0  # sum of w = n n' / (n + n'), a number of pairs
    difference: float = 0.0  # sum of w d, d the difference within one window
    weight2: float = 0.0  # sum of w^2
    difference2: float = 0.0  # sum of w^2 d
    square2: float = 0.0  # sum of w^2 d^2
    load: tuple[float, float] = (0.0, 0.0)  # sum of w^2 / n of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How the outputs of both are distributed over bins of the first outputs of the stable one."""

    first: tuple[float, ...] = ()  # outputs of the stable one, until there are enough for bins
    edges: tuple[float, ...] = ()  # upper ends of bins, or the values themselves
    exact: bool = False  # whether the edges are values, and all others share a last bin
    stable: tuple[int, ...] = ()  # counts
    candidate: tuple[int, ...] = ()
    growth: float = 0.0  # logarithm of the e-process
    peak: float = 0.0
    look: int = 0  # how often the size of the shift was estimated
    size: float = 0.0  # bias-corrected PSI at the last look
    low: float = 0.0  # interval of the PSI at the last look
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one deployment did in a window that is not closed yet."""

    requests: int = 0
    errors: int = 0
    timeouts: int = 0
    invalid: int = 0
    timed: int = 0  # compared with the threshold of slowness
    slow: int = 0
    latency: Moments = Moments()  # of the natural logarithm of milliseconds
    scores: tuple[int, ...] = ()  # counts by bin


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingRun:
    """Requests without one success of the candidate, and what the stable one did meanwhile."""

    failed: int = 0
    stable_requests: int = 0
    stable_failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was observed since the candidate got its first request."""

    looks: int = 0
    requests: tuple[int, int] = (0, 0)
    failed: tuple[int, int] = (0, 0)
    scored: tuple[int, int] = (0, 0)  # numeric outputs seen
    errors: Tally = Tally()
    timeouts: Tally = Tally()
    invalid: Tally = Tally()
    slow: Tally = Tally()
    latency: Contrast = Contrast()
    loss: Contrast = Contrast()
    score: Shift = Shift()
    first_latencies: tuple[float, ...] = ()  # of the stable one, until there are enough
    slow_ms: float | None = None  # the stable one's 95th percentile, frozen
    window: tuple[Share, Share] = (Share(), Share())
    labelled: tuple[Moments, Moments] = (Moments(), Moments())  # losses of the open window
    loss_measure: str = ""  # by which losses are told: that of the first
    unlike: int = 0  # labels that are told by another, and not compared
    run: FailingRun = FailingRun()
    before: tuple[int, int] = (0, 0)  # requests and failures of the stable one, until it got none
    alone: tuple[int, int] = (0, 0)  # of the candidate, since it got all of them
