"""How closely what is served is watched, and what a verdict may start by itself."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.catalog.workload_values import NonEmpty

Share = Annotated[float, Meta(ge=0, le=1)]
Pause = Annotated[float, Meta(ge=60, le=31_622_400)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRules:
    """When a column counts as moved."""

    window_length_s: Annotated[
        Annotated[int, Meta(ge=60, le=2_678_400)] | None,
        Meta(
            description="Seconds of one window. Without it: the shortest of an hour, six hours, a "
            "day and a week of which lately two held rows enough.",
            examples=[3_600],
        ),
    ] = None
    index: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="Population stability index, less what chance gives, from which a change "
            "is large enough to matter.",
            examples=[0.25],
        ),
    ] = 0.1
    windows: Annotated[
        int,
        Meta(
            ge=1,
            le=6,
            description="Consecutive windows in which a change must be large and significant to "
            "count as drift.",
            examples=[3],
        ),
    ] = 2
    false_share: Annotated[
        float,
        Meta(
            gt=0,
            le=0.2,
            description="Largest share of the columns that a window calls significant which may "
            "be so by chance (Benjamini and Hochberg).",
            examples=[0.05],
        ),
    ] = 0.01
    seasons: Annotated[
        bool,
        Meta(
            description="Whether a window shorter than a day is also held against the same hours "
            "of the seven days before, so that the time of day is no drift.",
            examples=[False],
        ),
    ] = True
    may: Annotated[
        Annotated[tuple[NonEmpty, ...], Meta(extra_json_schema={"uniqueItems": True})],
        Meta(
            description="Columns whose drift is shown and is never a verdict on the whole, such "
            "as the month.",
            examples=[["month"]],
        ),
    ] = ()
    missing_rise_max: Annotated[
        Share,
        Meta(
            description="By how much the share of missing values may rise before the feed counts "
            "as broken.",
            examples=[0.05],
        ),
    ] = 0.1
    unseen_max: Annotated[
        Share,
        Meta(
            description="Largest share of rows with a category that the reference never held, "
            "before the feed counts as broken.",
            examples=[0.01],
        ),
    ] = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainOnVerdict:
    """Which verdicts start a training, and how often."""

    on: Annotated[
        Annotated[
            tuple[Literal["concept-drift", "covariate-shift"], ...],
            Meta(min_length=1, extra_json_schema={"uniqueItems": True}),
        ],
        Meta(
            description="Verdicts of `servewell triage` that start one.",
            examples=[["concept-drift"]],
        ),
    ] = ("concept-drift", "covariate-shift")
    at_most_every_s: Annotated[
        Pause,
        Meta(
            description="Seconds from one training that a verdict started to the next, at least.",
            examples=[604_800],
        ),
    ] = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackOnVerdict:
    """Which verdicts take the requests back from a version, and how often."""

    on: Annotated[
        Annotated[
            tuple[Literal["skew", "concept-drift"], ...],
            Meta(min_length=1, extra_json_schema={"uniqueItems": True}),
        ],
        Meta(
            description="Verdicts of `servewell triage` that do.",
            examples=[["skew"]],
        ),
    ] = ("skew",)
    at_most_every_s: Annotated[
        Pause,
        Meta(
            description="Seconds from one rollback of the endpoint to the next, at least.",
            examples=[86_400],
        ),
    ] = 86_400.0
    within_s: Annotated[
        Pause,
        Meta(
            description="Seconds since the traffic last changed, after which nothing is rolled "
            "back any more: the change is no longer the cause.",
            examples=[172_800],
        ),
    ] = 604_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """What a verdict may start by itself: nothing, unless it is declared.

    A training costs money, and a rollback changes what callers are answered.
    """

    retrain: Annotated[
        RetrainOnVerdict | None,
        Meta(description="Train again on these verdicts. Without it: never by itself."),
    ] = None
    roll_back: Annotated[
        RollBackOnVerdict | None,
        Meta(description="Roll back on these verdicts. Without it: never by itself."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringRules:
    """How closely what is served is watched."""

    drift: Annotated[DriftRules, Meta(description="When a column counts as moved.")] = field(
        default_factory=DriftRules
    )
    quality: Annotated[
        QualityRules, Meta(description="How the rightness of the predictions is told.")
    ] = field(default_factory=QualityRules)
    slices: Annotated[
        Annotated[
            tuple[NonEmpty, ...],
            Meta(max_length=5, extra_json_schema={"uniqueItems": True}),
        ],
        Meta(
            description="Inputs with few texts; the rows of each text are watched by themselves "
            "too. They count from the next version on.",
            examples=[["origin"]],
        ),
    ] = ()
    signals: Annotated[
        SignalRules, Meta(description="What a verdict may start by itself; nothing by default.")
    ] = field(default_factory=SignalRules)
