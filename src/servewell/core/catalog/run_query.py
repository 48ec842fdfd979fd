"""Which runs somebody asks for, and in which order."""

from dataclasses import dataclass
from typing import Literal

from servewell.core.catalog.run import RunState

Comparison = Literal["<", "<=", "=", "!=", ">=", ">"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a metric of a run must be. A run without that metric does not meet it."""

    metric: str
    comparison: Comparison
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Runs that meet everything that is said here."""

    workload: str | None = None
    states: tuple[RunState, ...] = ()  # none: any
    begins: str = ""  # how the id begins
    conditions: tuple[Condition, ...] = ()
    by: str | None = None  # the metric to sort by; runs without it come last. None: by start
    rising: bool = False  # the smallest or oldest first
    limit: int = 50
    skip: int = 0  # so many of the first
