"""Which variant of a model to take: as good as the gate asks, and faster or smaller.

A variant passes when even the unlucky end of its measurements is good enough: the upper end of
what it may have lost, and the lower end of what it may have won.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from servewell.errors import ServewellError


class Metric(StrEnum):
    """What the quality of a variant is judged by."""

    AUC = "auc"
    BRIER = "brier"
    LOG_LOSS = "log_loss"
    ACCURACY = "accuracy"
    RMSE = "rmse"
    MAE = "mae"
    DIFFERENCE = "difference"  # the largest difference of any output number: needs no label


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a metric is read."""

    loss_max: float  # allowed without a word of the workload
    higher_is_better: bool = False
    relative: bool = False  # a loss is a share of the original's value, else in the metric's unit


SCALES: Final[Mapping[Metric, Scale]] = {
    Metric.AUC: Scale(loss_max=0.002, higher_is_better=True),
    Metric.ACCURACY: Scale(loss_max=0.002, higher_is_better=True),
    Metric.BRIER: Scale(loss_max=0.001),
    Metric.LOG_LOSS: Scale(loss_max=0.002),
    Metric.RMSE: Scale(loss_max=0.005, relative=True),
    Metric.MAE: Scale(loss_max=0.005, relative=True),
    Metric.DIFFERENCE: Scale(loss_max=1e-4),
}
BATCHES: Final = (1, 32, 128)  # rows of a request that speed is measured with


class Answers(StrEnum):
    """What a model answers to a row."""

    PROBABILITIES = "the probability of each class"
    NUMBERS = "numbers"
    LABELS = "labels alone"


class GateInvalidError(ServewellError):
    """The gate of an optimisation asks for something that cannot be."""

    code = "SW-413"


class MetricUnfitError(ServewellError):
    """The metric does not fit what the model answers, or there is no label to compute it from."""

    code = "SW-414"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured value and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a variant must keep to.

    `loss_max` is in the unit of the metric, for RMSE and MAE a share of the original's value.
    """

    metric: Metric
    loss_max: float  # 0 or more
    faster_min: float = 0.05  # share of the original's speed to be won, 0 or more
    smaller_min: float = 0.1  # share of the original's size to be saved, 0..1
    rows: int = 1  # of the request that speed is judged by, one of `BATCHES`
    tolerance: float = 0.0  # by which numbers of an output that is not judged may differ, absolute

    def __post_init__(self) -> None:
        """Raise GateInvalidError where a limit is out of its range."""
        if not self.loss_max >= 0 or not self.faster_min >= 0 or not 0 <= self.smaller_min <= 1:
            raise GateInvalidError(
                "The gate of the optimisation has a limit out of its range.",
                why=f"it has a largest loss of {self.loss_max:g}, a least gain in speed of "
                f"{self.faster_min:g} and a least saving of size of {self.smaller_min:g}",
                fix="give 0 or more; the saving of size is a share, at most 1",
            )
        if self.rows not in BATCHES:
            raise GateInvalidError(
                f"Speed cannot be judged by requests of {self.rows} rows.",
                why=f"requests of {', '.join(map(str, BATCHES))} rows are measured",
                fix="name one of these as `model.optimize.rows` in the workload file",
            )


def gate_of(  # noqa: PLR0913  (what a gate has one of)
    metric: Metric,
    *,
    loss_max: float | None,
    faster_min: float,
    smaller_min: float,
    rows: int,
    tolerance: float,
) -> Gate:
    """Return the gate for a metric, with the metric's own limit where none is given.

    Raises: GateInvalidError.
    """
    allowed = SCALES[metric].loss_max if loss_max is None else loss_max
    return Gate(
        metric=metric,
        loss_max=allowed,
        faster_min=faster_min,
        smaller_min=smaller_min,
        rows=rows,
        tolerance=tolerance,
    )


def metric_for(
    wanted: Metric | None, answers: Answers, *, width: int, label_values: int | None
) -> Metric:
    """Return the metric that quality is judged by: the one that is wanted, if it can be.

    `width` counts the numbers that the model answers to a row, `label_values` the different
    labels; None stands for no labels at all.

    Raises: MetricUnfitError.
    """
    fitting = _fitting(answers, width=width, label_values=label_values)
    if wanted is None or wanted in fitting:
        return wanted or fitting[0]
    why = f"the model answers {answers.value}"
    if label_values is None:
        why = "no column of the data is known to be the label"
    elif answers is not Answers.LABELS:
        why += f", {width} to a row, and the label has {label_values} different values"
    raise MetricUnfitError(
        f"The metric `{wanted}` does not fit this model.",
        why=why,
        fix=f"judge it by {' or '.join(f'`{one}`' for one in fitting)}",
    )


def _fitting(answers: Answers, *, width: int, label_values: int | None) -> tuple[Metric, ...]:
    """Return the metrics that can be computed, the one to take first."""
    if label_values is None:
        return (Metric.DIFFERENCE,)
    if answers is Answers.LABELS:
        return Metric.ACCURACY, Metric.DIFFERENCE
    binary = label_values == 2  # noqa: PLR2004 - a positive and a negative
    if answers is Answers.PROBABILITIES:
        ranked = (Metric.AUC,) if binary and width == 2 else ()  # noqa: PLR2004 - as above
        return *ranked, Metric.LOG_LOSS, Metric.BRIER, Metric.ACCURACY, Metric.DIFFERENCE
    if width != 1:
        return (Metric.DIFFERENCE,)
    return (Metric.RMSE, Metric.MAE, *((Metric.AUC,) if binary else ()), Metric.DIFFERENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a model takes on this machine."""

    latency_us_p50: float  # of one row, warm, in ONNX Runtime alone
    latency_us_p99: float
    rows_per_s: Mapping[int, float]  # by the rows of a request
    memory_bytes: int | None  # growth of a process that loads it and runs a batch; None: unknown
    size_bytes: int  # on disk


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChange:
    """How far an output of a variant is from the original's, over all rows."""

    output: str
    judged: bool  # whether the metric looks at it
    numbers: bool  # otherwise labels
    largest: float  # difference of any number, absolute; of labels the share that is another


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant that was built and measured beside the original."""

    name: str
    about: str
    quality: float  # the metric on the held-out rows
    loss: Estimate  # above 0: worse than the original
    changes: tuple[OutputChange, ...]  # one of each output
    cost: Cost
    speedup: Mapping[int, Estimate]  # by rows of a request; 2: twice as fast as the original

    @property
    def largest_difference(self) -> float:
        """The largest difference of any number, over every output."""
        return max((one.largest for one in self.changes if one.numbers), default=0.0)

    @property
    def labels_changed(self) -> float:
        """The largest share of labels that are others, over every output."""
        return max((one.largest for one in self.changes if not one.numbers), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuited:
    """A variant that makes no sense for this model, or could not be built."""

    name: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a variant may be taken."""

    name: str
    passed: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The variant to take, or None to keep the original."""

    name: str | None
    because: str
    verdicts: tuple[Verdict, ...] = field(default_factory=tuple)


def choose(gate: Gate, variants: Sequence[Variant], *, size_bytes: int) -> Choice:
    """Return the variant to take: of those that pass, the one that is surely the fastest.

    Wider limits never lead to a slower choice. Of two that are equally fast the smaller is taken,
    then the first by name.

    Units:  `size_bytes` is the size of the original.
    Raises: nothing. A `Gate` is checked when it is built.
    """
    verdicts = tuple(judge(gate, one, size_bytes=size_bytes) for one in variants)
    passing = {one.name for one in verdicts if one.passed}
    ranked = sorted(
        (one for one in variants if one.name in passing), key=lambda one: _rank(gate, one)
    )
    if not ranked:
        because = "no variant could be built" if not variants else "no variant passes the gate"
        return Choice(name=None, because=f"keep the original: {because}", verdicts=verdicts)
    best = ranked[0]
    because = f"`{best.name}` {_gain(gate, best, size_bytes)}, and {_loss(gate, best)}"
    return Choice(name=best.name, because=because, verdicts=verdicts)


def judge(gate: Gate, variant: Variant, *, size_bytes: int) -> Verdict:
    """Return whether a variant passes, with every reason against it."""
    against = (
        *_too_bad(gate, variant),
        *_too_far(gate, variant),
        *_no_gain(gate, variant, size_bytes),
    )
    if against:
        return Verdict(name=variant.name, passed=False, because="; ".join(against))
    because = f"{_gain(gate, variant, size_bytes)}; {_loss(gate, variant)}"
    return Verdict(name=variant.name, passed=True, because=because)


def _too_bad(gate: Gate, variant: Variant) -> list[str]:
    if variant.loss.high <= gate.loss_max:
        return []
    return [
        f"may lose {variant.loss.high:.2g}{_unit(gate)}, more than the {gate.loss_max:g} allowed"
    ]


def _too_far(gate: Gate, variant: Variant) -> list[str]:
    """Return what speaks against the outputs that the metric does not look at."""
    return [
        f"changes the output `{one.output}`, which is not judged: {_change(one)}, "
        f"more than the {_change_max(gate, one):g} allowed"
        for one in variant.changes
        if not one.judged and not one.largest <= _change_max(gate, one)
    ]


def _change_max(gate: Gate, change: OutputChange) -> float:
    """Return how far an output may be off that is not judged.

    Of labels no more may change than may be lost. The tolerance bounds numbers, unless what may be
    lost is itself a difference of numbers.
    """
    if change.numbers and gate.metric is not Metric.DIFFERENCE:
        return gate.tolerance
    return gate.loss_max


def _change(one: OutputChange) -> str:
    if one.numbers:
        return f"a number is {one.largest:.2g} off"
    return f"a share of {one.largest:.2g} of its labels is another"


def _no_gain(gate: Gate, variant: Variant, size_bytes: int) -> list[str]:
    speed = variant.speedup[gate.rows]
    if speed.low >= 1 + gate.faster_min:
        return []
    if not speed.low >= 1 - gate.faster_min:  # what is no number is no proof
        return [f"may be slower: {_times(speed)}"]
    if variant.cost.size_bytes <= size_bytes * (1 - gate.smaller_min):
        return []
    return [
        (
            f"neither {gate.faster_min:.0%} faster ({_times(speed)}) "
            f"nor {gate.smaller_min:.0%} smaller ({_size(variant, size_bytes)})"
        )
    ]


def _rank(gate: Gate, variant: Variant) -> tuple[float, int, str]:
    return -variant.speedup[gate.rows].low, variant.cost.size_bytes, variant.name


def _saved(variant: Variant, size_bytes: int) -> float:
    return 1 - variant.cost.size_bytes / max(size_bytes, 1)


def _gain(gate: Gate, variant: Variant, size_bytes: int) -> str:
    rows = "a row" if gate.rows == 1 else f"{gate.rows} rows"
    return f"answers {rows} {_times(variant.speedup[gate.rows])}, {_size(variant, size_bytes)}"


def _times(speed: Estimate) -> str:
    return f"{speed.value:.2f} times as fast ({speed.low:.2f} to {speed.high:.2f})"


def _size(variant: Variant, size_bytes: int) -> str:
    saved = _saved(variant, size_bytes)
    return f"{abs(saved):.0%} {'smaller' if saved >= 0 else 'larger'}"


def _loss(gate: Gate, variant: Variant) -> str:
    return (
        f"loses at most {max(variant.loss.high, 0):.2g}{_unit(gate)} of {gate.loss_max:g} allowed"
    )


def _unit(gate: Gate) -> str:
    share = " (as a share)" if SCALES[gate.metric].relative else ""
    words = {Metric.DIFFERENCE: " in an output"}
    return words.get(gate.metric, f" of {gate.metric}{share}")
