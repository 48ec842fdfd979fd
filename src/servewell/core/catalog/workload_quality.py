"""How the rightness of what is served is told."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """How long the windows are, and how much is asked before something is said."""

    window_days: Annotated[
        int,
        Meta(
            ge=1,
            le=92,
            description="Days of one window, from midnight to midnight, UTC.",
            examples=[1],
        ),
    ] = 7
    windows: Annotated[
        int,
        Meta(ge=1, le=104, description="Windows that are looked back upon.", examples=[12]),
    ] = 8
    labels_min: Annotated[
        int,
        Meta(
            ge=2,
            le=1_000_000,
            description="Labels of a window from which they may prove that a version is worse.",
            examples=[500],
        ),
    ] = 100
    matters: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="By what share of the loss on held-out rows, of an accuracy the share that "
            "is wrong, it must be worse to be somebody's work. Less is no signal and "
            "starts nothing.",
            examples=[0.1],
        ),
    ] = 0.05
    unlike_max: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of the rows of one column outside of what the held-out rows held, "
            "from which an estimate without labels is doubtful; from four times as many on there "
            "is none.",
            examples=[0.1],
        ),
    ] = 0.05
    age_days_max: Annotated[
        int,
        Meta(
            ge=1,
            le=3_650,
            description="Days after which an estimate from held-out rows is doubtful, where no "
            "label has borne it out.",
            examples=[90],
        ),
    ] = 180
