"""What the rows of a workload must keep to before a model that learned from them is deployed."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Distance = Annotated[float, Meta(gt=0, le=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRules:
    """The bounds of the data contract; what a value may be stands under `inputs`."""

    missing_max: Annotated[
        dict[str, Share],
        Meta(
            description="Largest share of rows that may lack a value, by column.",
            examples=[{"wind_gust": 0.9, "temp": 0.05}],
        ),
    ] = field(default_factory=dict)
    missing_rise_max: Annotated[
        Share,
        Meta(
            description="By how much the share of missing values of an input may grow against the "
            "last training data, beyond what it did within them.",
            examples=[0.05],
        ),
    ] = 0.1
    unseen_max: Annotated[
        Share,
        Meta(
            description="Largest share of rows with a text that the last training data never held, "
            "beyond what was new within them.",
            examples=[0.01],
        ),
    ] = 0.05
    repeated_max: Annotated[
        Share | None,
        Meta(
            description="Largest share of rows that are copies of another. Without it more than "
            "0.2 is noted, and fails nothing: a table with few columns repeats itself.",
            examples=[0.01],
        ),
    ] = None
    shared_max: Annotated[
        Share | None,
        Meta(
            description="Largest share of held-out rows that are copies of a training row. Without "
            "it more than 0.05 is noted, and fails nothing.",
            examples=[0.0],
        ),
    ] = None
    outside_max: Annotated[
        Share,
        Meta(
            description="Largest share of rows with a value that `inputs` does not allow.",
            examples=[0.001],
        ),
    ] = 0.0
    leakage_max: Annotated[
        Share,
        Meta(
            description="How well one input alone may tell the label: the area under the ROC curve "
            "of a class, or the rank correlation with a number.",
            examples=[0.95],
        ),
    ] = 0.98
    drift_note: Annotated[
        Distance,
        Meta(
            description="Population stability index, less its noise, from which drift of an input "
            "is noted.",
            examples=[0.1],
        ),
    ] = 0.1
    drift_max: Annotated[
        Distance,
        Meta(
            description="Index from which it fails. A column that moves by itself, like the "
            "weather, may move by five times what it did between parts of the last training data.",
            examples=[0.25],
        ),
    ] = 0.25
    drift_may: Annotated[
        Annotated[tuple[str, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]
        | None,
        Meta(
            description="Inputs whose drift is noted and never fails.",
            examples=[["temp", "humid"]],
        ),
    ] = None
    skew: Annotated[
        Literal["note", "fail"],
        Meta(
            description="What it means when recent requests differ from the training rows; what "
            "is asked may be anything, a load test too. A change of unit always fails.",
            examples=["fail"],
        ),
    ] = "note"
