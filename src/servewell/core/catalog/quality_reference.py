"""How right a version was on rows with labels that it did not learn from, frozen beside it.

What is estimated without labels later is estimated from this, and what labels tell is held
against it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from servewell.core.catalog.quality import Figure


class Task(StrEnum):
    """What a version answers, as far as its rightness goes."""

    TWO_CLASSES = "two classes"
    CLASSES = "several classes"
    NUMBER = "a number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Held-out rows of about one score in one place of its profile, and that got one class.

    A hit is a row whose truth is the second class; of several classes, one that was right.
    """

    place: int  # among the counts of the score's column
    positive: bool  # whether the second class was predicted; of several classes True
    rows: int
    hits: int
    chance: float  # of a hit, 0..1: mean of the score, calibrated where that helps
    score: float  # mean of the score as the model gives it
    squares: float  # mean of its squares
    ordered: float = 0.5  # share of the pairs of a hit and a miss in which the hit scores higher


@dataclass(frozen=True, slots=True, kw_only=True)
class LossModel:
    """What error to expect of a row: a mean, and what each place of some columns adds to it.

    It adds up, so that the mean over any rows follows from the counts of their columns alone.
    """

    mean: float  # of the held-out rows, in the unit of the output
    effects: dict[str, tuple[float, ...]]  # column -> by place, in the unit of the output
    rows: dict[str, tuple[int, ...]]  # column -> held-out rows by place
    spread: float  # standard deviation of what the model leaves open
    gain: float  # share of the squared error that it spares on rows it was not fitted on, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReference:
    """What is known of the rightness of one version from its held-out rows."""

    task: Task
    rows: int  # with a label
    column: str = ""  # of the profile, which holds the score
    cells: tuple[Cell, ...] = ()
    calibrated: bool = False  # whether the scores are put right by isotonic regression
    error_raw: float | None = None  # expected calibration error of the scores, by cross-validation
    error_calibrated: float | None = None  # the same, put right
    loss: LossModel | None = None
    loss_because: str = ""  # why there is a loss model, or none
    loss_scale: float = 1.0  # a loss that hardly any held-out row exceeds: what ADWIN takes as 1
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)  # slice -> metric
    # by metric, in its unit, over all rows; beyond chance, from one block of rows to the next:
    missed: dict[str, float] = field(default_factory=dict)  # of estimates, from what came
    varied: dict[str, float] = field(default_factory=dict)  # of what came
