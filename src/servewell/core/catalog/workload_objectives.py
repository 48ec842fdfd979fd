"""What an endpoint is to achieve. Nothing has to be written: the defaults are objectives too."""

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from servewell.core.catalog.workload_values import Name, NonEmpty

Goal = Annotated[
    str,
    Meta(
        pattern=r"^(off|[0-9]{1,2}(\.[0-9]{1,4})?%)$",
        extra_json_schema={
            "patternErrorMessage": "a share like `99.5%`, more than 0 and less than 100 %, or `off`"
        },
    ),
]
Days = Annotated[float, Meta(gt=0, le=3_650)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessRules:
    """How old may be what predictions are made from. What is not named may be of any age."""

    model_days: Annotated[
        Days | None,
        Meta(description="Days since the version that answers was made.", examples=[30]),
    ] = None
    data_days: Annotated[
        Days | None,
        Meta(description="Days since the rows that it learned from were read.", examples=[30]),
    ] = None
    label_days: Annotated[
        Days | None,
        Meta(description="Days since the newest label was added.", examples=[3]),
    ] = None
    goal: Annotated[
        Goal,
        Meta(
            description="Share of the time in which that holds, looked at every five minutes.",
            examples=["99%"],
        ),
    ] = "99%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """One thing that requests need. One of `endpoint` and `upstream` is given."""

    endpoint: Annotated[
        Name | None,
        Meta(description="Another endpoint of this home; it is measured.", examples=["weather"]),
    ] = None
    upstream: Annotated[
        NonEmpty | None,
        Meta(description="Name of a system elsewhere.", examples=["feature store"]),
    ] = None
    availability: Annotated[
        Goal | None,
        Meta(
            description="What the owner of that system promises. It is believed, not measured.",
            examples=["99.9%"],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency(Needed):
    """One thing that requests need, or several of which any one will do."""

    any_of: Annotated[
        Annotated[tuple[Needed, ...], Meta(min_length=2)] | None,
        Meta(
            description="Instead of `endpoint` and `upstream`: of these one has to be there.",
            examples=[[{"endpoint": "weather"}, {"endpoint": "weather-backup"}]],
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveRules:
    """The goals of an endpoint, each with a budget of what may go wrong over a period."""

    period_days: Annotated[
        int,
        Meta(
            ge=7,
            le=90,
            description="Days over which each goal is held, and its budget spent. The windows of "
            "the alerts grow and shrink with it.",
            examples=[30],
        ),
    ] = 30
    availability: Annotated[
        Goal | None,
        Meta(
            description="Share of the requests that are not answered with a fault of ours: a "
            "status of 500 or more. What is the caller's own fault does not count. Without it: "
            "99.5%.",
            examples=["99.9%"],
        ),
    ] = None
    latency: Annotated[
        Goal | None,
        Meta(
            description="Share of the answers that come within `endpoint.latency_objective_ms`. "
            "Without it: 99%.",
            examples=["99.5%"],
        ),
    ] = None
    drift: Annotated[
        Goal | None,
        Meta(
            description="Share of the looks, one in five minutes, at which no drift was found, of "
            "those at which it could be told. Without it there is no such objective.",
            examples=["95%"],
        ),
    ] = None
    quality: Annotated[
        Goal | None,
        Meta(
            description="Share of the looks, one in five minutes, at which labels did not prove "
            "the predictions worse than the reference. Without it there is no such objective.",
            examples=["95%"],
        ),
    ] = None
    freshness: Annotated[
        FreshnessRules,
        Meta(description="How old may be what predictions are made from."),
    ] = field(default_factory=FreshnessRules)
    depends_on: Annotated[
        tuple[Dependency, ...],
        Meta(
            description="What requests need besides this endpoint: all of it, or they fail. From "
            "it the availability of the whole is told, and held to the same goal.",
            examples=[[{"endpoint": "weather"}]],
        ),
    ] = ()
