"""What people may say of the answers of an endpoint, and what is kept of it."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from servewell.core.catalog.feedback import Corrections, Scope

Origin = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^/?#@*\s]+$",
        extra_json_schema={
            "patternErrorMessage": "an origin such as https://app.example.org, without a path; "
            "no pattern"
        },
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRules:
    """What people are asked to agree to before anything but their rating is kept."""

    version: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$",
            description="Version of the text; give another one whenever the text changes.",
            examples=["2026-11"],
        ),
    ]
    text: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2_000,
            description="The text, as people read it. Each version that was agreed to is kept.",
            examples=["We may keep my comment and my correction to make the answers better."],
        ),
    ]
    scope: Annotated[
        Scope,
        Meta(
            description="What it covers: `review`, people may read what was said; `label`, a "
            "correction may also become the truth of its prediction.",
            examples=["review"],
        ),
    ] = Scope.LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRules:
    """Whether an endpoint takes feedback, from where, and what becomes of it."""

    enabled: Annotated[
        bool,
        Meta(
            description="Whether the endpoint takes feedback, and gives each answer a token for "
            "it: the header `servewell-feedback-token`.",
            examples=[True],
        ),
    ] = False
    origins: Annotated[
        tuple[Origin, ...],
        Meta(
            extra_json_schema={"uniqueItems": True},
            description="Origins of the pages whose browsers may send feedback. Those of other "
            "pages are refused.",
            examples=[["https://app.example.org"]],
        ),
    ] = ()
    token_s: Annotated[
        int,
        Meta(
            ge=60,
            le=604_800,
            description="Seconds for which the token of a prediction is good.",
            examples=[86_400],
        ),
    ] = 3_600
    per_minute: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Pieces of feedback that one key may send in a minute, to each worker.",
            examples=[6_000],
        ),
    ] = 600
    corrections: Annotated[
        Corrections,
        Meta(
            description="What becomes of a correction whose consent covers it: `label`, it is a "
            "label at once, unless another truth is known; `review`, a person accepts or rejects "
            "it; `ignore`, none becomes a label.",
            examples=["label"],
        ),
    ] = Corrections.REVIEW
    retention_days: Annotated[
        int,
        Meta(ge=1, le=3_650, description="Days after which feedback is removed.", examples=[30]),
    ] = 180
    consent: Annotated[
        ConsentRules | None,
        Meta(
            description="What people are asked to agree to. Without it nobody is asked, and "
            "ratings alone are kept."
        ),
    ] = None
