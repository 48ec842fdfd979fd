"""What a load test sends when: rates over time, arrivals, and when to stop early.

Arrivals are those of an open system: they come whatever the server does, so that a slow server
meets a growing queue and not a patient caller. Source: B. Schroeder, A. Wierman, M. Harchol-Balter,
"Open Versus Closed: A Cautionary Tale", NSDI 2006.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.errors import ServewellError

RATE_MAX: Final = 200_000.0
DURATION_MAX_S: Final = 86_400.0
STAGE: Final = re.compile(
    r"(?P<rate>\d+(?:\.\d+)?)(?:\.\.(?P<until>\d+(?:\.\d+)?))?@(?P<time>\d+(?:\.\d+)?)(?P<unit>s|m|h)"
)
SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}


class LoadPlanError(ServewellError):
    """A load test is planned in a way that cannot be carried out."""

    code = "SW-124"


class Arrivals(StrEnum):
    """How requests are spread within a rate."""

    POISSON = "poisson"  # as from many callers who know nothing of each other
    EVEN = "even"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the test: a steady rate, or one that grows or falls evenly."""

    rate: float  # requests a second at its start
    until: float  # requests a second at its end
    duration_s: float

    @property
    def requests(self) -> float:
        """Return the mean number of requests in it."""
        return (self.rate + self.until) / 2 * self.duration_s

    @property
    def words(self) -> str:
        """Return it as people write it."""
        rates = f"{self.rate:g}" if self.rate == self.until else f"{self.rate:g}..{self.until:g}"
        return f"{rates}@{self.duration_s:g}s"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """When a test ends before its plan does: what follows would say nothing new."""

    failing_share: float = 0.9  # of the answers of a second that are no good ones
    behind_s: float = 5.0  # how late requests are sent for want of connections
    late_s: float = 1.0  # how late they are sent for want of a faster sender
    for_s: int = 3  # seconds in a row


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Return the stages of `RATE@TIME`, `RATE..RATE@TIME`, or several, separated by commas.

    Raises: LoadPlanError, with all that is wrong.
    """
    stages, wrong = [], []
    for part in text.split(","):
        found = STAGE.fullmatch(part.strip())
        stage = _stage(found) if found else None
        if stage is None:
            wrong.append(f"`{part.strip()[:40]}`")
        else:
            stages.append(stage)
    if wrong:
        raise LoadPlanError(
            f"{', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} no part of a load test.",
            why=f"a part is a rate up to {RATE_MAX:,.0f} requests a second, or two with `..` "
            "between them for a ramp, then `@` and how long",
            fix="write it like `200@30s`, `50..500@2m`, or several with commas between them",
        )
    return tuple(stages)


def _stage(found: re.Match[str]) -> Stage | None:
    rate = float(found["rate"])
    until = float(found["until"]) if found["until"] else rate
    duration_s = float(found["time"]) * SECONDS[found["unit"]]
    sound = 0 < max(rate, until) <= RATE_MAX and 0 < duration_s <= DURATION_MAX_S
    return Stage(rate=rate, until=until, duration_s=duration_s) if sound else None


def arrivals(stages: Iterable[Stage], draws: Iterator[float] | None) -> Iterator[tuple[int, float]]:
    """Yield for each request the number of its stage and when it is due, in seconds.

    `draws` are uniform in [0, 1) and make the arrivals those of a Poisson process whose rate
    follows the stages; None spaces them evenly. Both walk along the mean number of requests and
    ask when it is reached, so a ramp needs no thinning.

    Source: time-rescaling of a non-homogeneous Poisson process, E. Cinlar, "Introduction to
    Stochastic Processes", 1975, section 4.7.
    """
    began, before = 0.0, 0.0
    mean = _step(draws)
    for number, stage in enumerate(stages):
        while mean <= before + stage.requests:
            yield number, began + _when(stage, mean - before)
            mean += _step(draws)
        before += stage.requests
        began += stage.duration_s


def _step(draws: Iterator[float] | None) -> float:
    return 1.0 if draws is None else -math.log1p(-next(draws))


def _when(stage: Stage, requests: float) -> float:
    """Return the seconds after which a stage has had so many requests in the mean.

    Solves `rate t + (until - rate) t² / (2 duration) = requests`, in the form that loses no digits
    where the rate hardly changes.
    """
    slope = (stage.until - stage.rate) / stage.duration_s
    root = math.sqrt(max(0.0, stage.rate**2 + 2 * slope * requests))
    return min(stage.duration_s, 2 * requests / (stage.rate + root))
