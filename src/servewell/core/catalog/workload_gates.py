"""What a model version of a workload must prove before it may be deployed."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from msgspec import Meta

Advisable = Literal[
    "data",
    "quality",
    "slices",
    "fairness",
    "calibration",
    "robustness",
    "behaviour",
    "equivalence",
    "signature",
    "latency",
    "memory",
    "size",
]
Group = Literal[Advisable, "security"]
Groups = Annotated[tuple[Group, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
AdvisableGroups = Annotated[
    tuple[Advisable, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})
]
Text = Annotated[str, Meta(min_length=1)]
SECURITY: Final = "security"  # group of what a package is made of, which is always required

# What says much of a model without a word of the workload on how much is too much.
ADVISORY: Final[tuple[Group, ...]] = ("slices", "calibration", "robustness", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessRule:
    """How far the groups of one column may be apart."""

    gap_max: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Largest gap between two groups that is allowed, at the upper end of its "
            "95 % interval.",
            examples=[0.05],
        ),
    ] = 0.1
    measures: Annotated[
        Annotated[
            tuple[
                Literal[
                    "selection_rate", "true_positive_rate", "false_positive_rate", "error_rate"
                ],
                ...,
            ],
            Meta(min_length=1, extra_json_schema={"uniqueItems": True}),
        ]
        | None,
        Meta(
            description="What is compared: the share of rows that get the second class, the same "
            "among those that have it and among those that do not, and the share of wrong answers. "
            "Without it: all of these for two classes, `error_rate` for more. A model that "
            "predicts a number is compared by its mean error as a share of the mean of all.",
            examples=[["selection_rate"]],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessRules:
    """What is done to the rows, and how much of the quality may go with it."""

    missing_share: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of the values that are taken away, of inputs that may be null.",
            examples=[0.2],
        ),
    ] = 0.1
    noise: Annotated[
        float,
        Meta(
            gt=0,
            le=10,
            description="Noise that is added to each number that is no whole one, as a share of "
            "the standard deviation of its input.",
            examples=[0.1],
        ),
    ] = 0.05
    loss_max: Annotated[
        float,
        Meta(
            ge=0,
            description="Most of the metric that either may cost, as for `margin`.",
            examples=[0.02],
        ),
    ] = 0.05
    moved_max: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the rows whose label may change with the noise, or whose number "
            "may move by more than a tenth of the standard deviation of all answers.",
            examples=[0.1],
        ),
    ] = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The gates, and the bounds that they hold a version to."""

    metric: Annotated[
        Literal["auc", "brier", "log_loss", "accuracy", "rmse", "mae"] | None,
        Meta(
            description="What quality is judged by. Without it: `auc` for two classes, `log_loss` "
            "for more, `accuracy` for labels alone, `rmse` for a number.",
            examples=["auc"],
        ),
    ] = None
    margin: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="Most of the metric that a version may lose against the champion, at the "
            "upper end of the 95 % interval; for `rmse` and `mae` as a share of the champion's. "
            "Without it: 0.01 for `auc` and `accuracy`, 0.005 for `brier`, 0.02 for `log_loss`, "
            "`rmse` and `mae`.",
            examples=[0.005],
        ),
    ] = None
    least: Annotated[
        float | None,
        Meta(
            description="Least quality, whatever the champion has, at the lower end of the 95 % "
            "interval; for metrics where less is better the most, at the upper end.",
            examples=[0.7],
        ),
    ] = None
    rows_min: Annotated[
        int,
        Meta(
            ge=10,
            le=1_000_000,
            description="Held-out rows, or rows of a group, below which nothing is said of them.",
            examples=[500],
        ),
    ] = 100
    slices: Annotated[
        Annotated[tuple[Text, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
        | None,
        Meta(
            description="Columns of the data by whose values quality is looked at; a number with "
            "many values is cut into quarters. Without it: up to four inputs that are texts with "
            "at most twelve values.",
            examples=[["origin", "engine"]],
        ),
    ] = None
    slice_margin: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="As `margin`, for the rows of one group. Without it: five times `margin`.",
            examples=[0.05],
        ),
    ] = None
    fairness: Annotated[
        dict[Text, FairnessRule],
        Meta(
            description="Columns whose groups are compared, by name. A column of the data need "
            "not be an input of the model."
        ),
    ] = field(default_factory=dict)
    calibration_error_max: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Largest expected calibration error: the mean distance between what the "
            "probabilities say and what happened.",
            examples=[0.05],
        ),
    ] = 0.1
    robustness: Annotated[
        RobustnessRules, Meta(description="How rows are spoiled, and what that may cost.")
    ] = field(default_factory=RobustnessRules)
    behaviour: Annotated[
        Text | None,
        Meta(
            description="File of behaviour tests, as rows in YAML, CSV or Parquet; a path inside "
            "the folder of the workload file. The guide to gates describes it.",
            examples=["behaviour.yaml"],
        ),
    ] = None
    latency_ms: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(
            description="Milliseconds that 99 of 100 calls with one row may take on this machine. "
            "Without it: `endpoint.latency_objective_ms`.",
            examples=[10],
        ),
    ] = None
    latency_ratio_max: Annotated[
        Annotated[float, Meta(ge=1)] | None,
        Meta(
            description="How many times as long as the champion's a call may take. Without it the "
            "ratio is told, and fails nothing.",
            examples=[2],
        ),
    ] = None
    memory_bytes_max: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Bytes by which a process may grow that loads the model and runs a batch. "
            "Without it: what `predictor.memory_bytes_max` allows, where the model is Python.",
            examples=[268435456],
        ),
    ] = None
    size_bytes_max: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Bytes that the model may take on the disk.", examples=[52428800]),
    ] = None
    required: Annotated[
        Groups | None,
        Meta(
            description="Groups of gates that a version must pass, beside those that it must pass "
            "anyway. A group that the workload names nothing for is told, and fails nothing.",
            examples=[["slices"]],
        ),
    ] = None
    advisory: Annotated[
        AdvisableGroups | None,
        Meta(
            description="Groups of gates that are told and fail nothing; `security` cannot be one. "
            "Without a word on them these are `slices`, `calibration`, `robustness` and `memory`.",
            examples=[["latency"]],
        ),
    ] = None
    timeout_s: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds after which the measuring is ended; then nothing can be told.",
            examples=[120],
        ),
    ] = 600

    def requires(self, group: str) -> bool:
        """Whether a version must pass the gates of a group; `required` comes first."""
        if group in (self.required or ()):
            return True
        return group not in (*ADVISORY, *(self.advisory or ()))
