"""How a new version of a workload takes over the traffic."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

Percentage = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,2}(\.[0-9]{1,2})?%$",
        extra_json_schema={
            "patternErrorMessage": "a share like `5%` or `2.5%`, more than 0 and less than 100 %"
        },
    ),
]
ChangeWindow = Annotated[
    str,
    Meta(
        pattern=r"^\S+ +[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2}( +\S+)?$",
        extra_json_schema={
            "patternErrorMessage": "days, hours and a time zone, like "
            "`Fri 16:00-24:00 Europe/Berlin`"
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRules:
    """By how much the candidate may be worse and still count as not worse."""

    error_ratio: Annotated[
        float,
        Meta(
            ge=1,
            le=100,
            description="Share of failed requests, candidate to stable, up to which the candidate "
            "counts as not worse.",
            examples=[1.25],
        ),
    ] = 1.25
    error_excess: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Or so much more of all requests that fail, as a share; either will do.",
            examples=[0.005],
        ),
    ] = 0.005
    latency_ratio: Annotated[
        float,
        Meta(
            ge=1,
            le=100,
            description="Geometric mean of the latencies, candidate to stable.",
            examples=[1.1],
        ),
    ] = 1.1
    slow_ratio: Annotated[
        float,
        Meta(
            ge=1,
            le=100,
            description="Share of the requests slower than the 95th percentile of the stable one, "
            "candidate to stable.",
            examples=[1.5],
        ),
    ] = 1.5
    score_psi: Annotated[
        float,
        Meta(
            ge=0,
            le=10,
            description="Largest population stability index between the outputs of the two, "
            "corrected for its bias.",
            examples=[0.1],
        ),
    ] = 0.1
    loss: Annotated[
        float,
        Meta(
            ge=0,
            le=1e9,
            description="Mean loss by labels that the candidate may have more; 0 asks for no "
            "labels.",
            examples=[0.01],
        ),
    ] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRules:
    """What a shadow gets, and what it has to show."""

    share: Annotated[
        Annotated[str, Meta(pattern=r"^([0-9]{1,2}(\.[0-9]{1,2})?|100)%$")],
        Meta(
            description="Share of the live requests that is copied to the candidate.",
            examples=["10%"],
            extra_json_schema={
                "patternErrorMessage": "a share like `10%`, more than 0 and at most 100 %"
            },
        ),
    ] = "10%"
    requests: Annotated[
        int,
        Meta(
            ge=1,
            le=10**9,
            description="Copies that are compared before the candidate gets a share.",
            examples=[500],
        ),
    ] = 500
    disagreement_max: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Share of the compared rows that may differ.",
            examples=[0.1],
        ),
    ] = 0.1
    difference_max: Annotated[
        float,
        Meta(
            ge=0,
            le=1e9,
            description="Difference of a number among the outputs above which a row differs.",
            examples=[0.05],
        ),
    ] = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRules:
    """The strategy of a rollout, its steps and its margins."""

    strategy: Annotated[
        Literal["rolling", "blue-green", "canary", "shadow-then-canary"],
        Meta(
            description="`canary`: in steps, each on the word of a judge. `shadow-then-canary`: "
            "first with copies of live requests, whose answers nobody gets. `rolling`: in equal "
            "steps, ended only by what cannot be missed. `blue-green`: all at once when every "
            "worker has it, then watched.",
            examples=["shadow-then-canary"],
        ),
    ] = "canary"
    steps: Annotated[
        Annotated[tuple[Percentage, ...], Meta(min_length=1)] | None,
        Meta(
            description="Shares of the candidate before it gets all requests. Without it: 5 %, "
            "25 % and 50 %; for `rolling` 25 %, 50 % and 75 %.",
            examples=[["5%", "25%", "50%"]],
        ),
    ] = None
    step_min_s: Annotated[
        float,
        Meta(ge=0, le=604_800, description="Least seconds at each share.", examples=[60]),
    ] = 60.0
    longest_s: Annotated[
        float,
        Meta(
            ge=1,
            le=31_536_000,
            description="Seconds after which a rollout that could not show enough is "
            "inconclusive. Time in which it waits for a person to begin, is held, or nobody "
            "watches does not count.",
            examples=[86_400],
        ),
    ] = 86_400.0
    on_inconclusive: Annotated[
        Literal["hold", "roll-back"],
        Meta(
            description="What becomes of it then: `hold` keeps its share and waits for a person.",
            examples=["roll-back"],
        ),
    ] = "hold"
    watch_s: Annotated[
        float,
        Meta(
            ge=0,
            le=604_800,
            description="Seconds that the candidate is watched with all requests, before the "
            "rollout has ended.",
            examples=[600],
        ),
    ] = 600.0
    approval: Annotated[
        Literal["none", "start", "promotion", "both"],
        Meta(
            description="Before what a person has to consent: the start, the promotion to all "
            "requests, or both.",
            examples=["promotion"],
        ),
    ] = "none"
    not_during: Annotated[
        Annotated[tuple[ChangeWindow, ...], Meta(min_length=1)] | None,
        Meta(
            description="When no share grows: a day (`Fri`), days (`Sat-Sun`, `Mon,Wed`) or "
            "`daily`, the hours, and a time zone by its IANA name, UTC without it. Rollback is "
            "possible at any time.",
            examples=[["Fri 16:00-24:00 Europe/Berlin", "Sat-Sun 00:00-24:00 Europe/Berlin"]],
        ),
    ] = None
    alpha: Annotated[
        float,
        Meta(
            ge=0.0001,
            le=0.5,
            description="Chance that a candidate as good as the stable one is rolled back, over "
            "the whole rollout, however often it is looked at.",
            examples=[0.05],
        ),
    ] = 0.05
    requests_min: Annotated[
        int,
        Meta(
            ge=1,
            le=10**9,
            description="Requests that the candidate has answered at least, before it may be "
            "promoted.",
            examples=[200],
        ),
    ] = 200
    margins: Annotated[
        MarginRules,
        Meta(description="By how much it may be worse and still count as not worse."),
    ] = field(default_factory=MarginRules)
    shadow: Annotated[
        ShadowRules, Meta(description="What a shadow gets, and what it has to show.")
    ] = field(default_factory=ShadowRules)
