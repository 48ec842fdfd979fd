"""An experiment: two deployments share the requests until one is shown better, or neither."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.evidence import Contrast, Moments

NOTHING: Final = Contrast()


class Metric(StrEnum):
    """What the two are compared by."""

    ERRORS = "errors"  # share of requests that fail
    LATENCY = "latency"  # geometric mean of what callers wait
    LOSS = "loss"  # mean loss by labels
    OUTPUT = "output"  # mean of a number that is answered


class Standing(StrEnum):
    """What an experiment shows."""

    FIRST = "first better"
    SECOND = "second better"
    NO_DIFFERENCE = "no difference of interest"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What was declared before the first request; it holds to the end."""

    metric: Metric
    output: str = ""  # name of the output; empty for the first number
    higher_is_better: bool = False
    smallest: float  # effect of interest: of latency a ratio less 1, otherwise a difference
    alpha: float = 0.05  # chance that what is shown is wrong at any look


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSums:
    """What was observed: a few numbers, whatever came. Pairs are (first, second)."""

    requests: tuple[int, int] = (0, 0)
    failed: tuple[int, int] = (0, 0)
    contrast: Contrast = NOTHING  # of the metric's values, second less first
    window: tuple[Moments, Moments] = (Moments(), Moments())  # not yet in the contrast
    missing: int = 0  # records that are lost or past their retention, at most
    loss_measure: str = ""  # by which losses are told: that of the first
    unlike: int = 0  # labels that are told by another, and not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the observations show at one look, or at the last one."""

    standing: Standing
    because: str
    recommends: str = ""  # deployment; empty where nothing is shown
    low: float | None = None  # interval of the effect, second less first, in the goal's unit
    effect: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment, as the state keeps it."""

    id: str
    endpoint: str
    first: str  # deployment
    first_version: str  # `model:number`
    second: str
    second_version: str
    share_bp: int  # of the second
    goal: Goal
    began_at: float  # seconds since the epoch, UTC
    ended_at: float | None = None
    because: str
    principal: str
    sums: ExperimentSums = ExperimentSums()
    cursor: str = ""  # up to where the records were observed
    result: Result | None = None  # at the last look
    revision: int = 0  # grows with each save
