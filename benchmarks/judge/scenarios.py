"""What is simulated: releases of known truth, and the hour that they get."""

from dataclasses import dataclass
from typing import Final

MINUTES: Final = 60
STEPS: Final = (0.05, 0.10, 0.25, 0.50)  # share of the candidate, a quarter of the time each
BATCH_S: Final = 10
LATENCY_SD: Final = 0.5  # of the natural logarithm


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One truth: how both deployments behave, and how much is asked of them."""

    name: str
    per_second: float
    stable: float  # share of requests that fail
    candidate: float
    measured: bool = False  # whether requests have latencies and outputs as well
    slower: float = 0.0  # of the candidate, in the mean of the natural logarithm
    shifted: float = 0.0  # of its outputs, in standard deviations
    equal: bool = False


def _failing(rate: float, *, stable: float, candidate: float) -> Scenario:
    equal = stable == candidate
    told = f"both fail {stable:.1%}" if equal else f"{stable:.1%} fail, then {candidate:.2%}"
    return Scenario(
        name=f"{told}, {rate:g}/s",
        per_second=rate,
        stable=stable,
        candidate=candidate,
        equal=equal,
    )


FAILING: Final = (
    _failing(50, stable=0.005, candidate=0.005),
    _failing(50, stable=0.001, candidate=0.001),
    _failing(1, stable=0.005, candidate=0.005),
    _failing(50, stable=0.005, candidate=0.0075),
    _failing(50, stable=0.005, candidate=0.02),
    _failing(50, stable=0.001, candidate=0.004),
    _failing(1, stable=0.001, candidate=0.05),
)


def _measured(name: str, *, slower: float = 0.0, shifted: float = 0.0) -> Scenario:
    return Scenario(
        name=f"{name}, 10/s",
        per_second=10,
        stable=0.001,
        candidate=0.001,
        measured=True,
        slower=slower,
        shifted=shifted,
        equal=not slower and not shifted,
    )


MEASURED: Final = (
    _measured("equal in all"),
    _measured("latency x 1.05", slower=0.05),
    _measured("latency x 1.105", slower=0.1),
    _measured("latency x 1.22", slower=0.2),
    _measured("outputs moved by 0.2 sd", shifted=0.2),
    _measured("outputs moved by 0.5 sd", shifted=0.5),
)
