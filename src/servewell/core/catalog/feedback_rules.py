"""Rules between the keys below `feedback` of a workload."""

from collections.abc import Iterator, Mapping
from typing import Final

from servewell.core.catalog.breach import Breach, Path, shown
from servewell.core.catalog.feedback import Corrections, Scope

PLACE: Final[Path] = ("feedback",)


def feedback_breaches(feedback: object) -> Iterator[Breach]:
    """Yield what is wrong between the keys of `feedback`."""
    if not isinstance(feedback, Mapping) or feedback.get("corrections") != Corrections.LABEL:
        return
    consent = feedback.get("consent")
    if consent is None:
        yield Breach(
            path=(*PLACE, "corrections"),
            found=f"{shown(Corrections.LABEL.value)} without `consent`",
            allowed="it where people are asked for their consent",
            hint="without consent a rating alone is kept; write `consent:` with a version and a "
            "text",
        )
    elif isinstance(consent, Mapping) and consent.get("scope") == Scope.REVIEW:
        yield Breach(
            path=(*PLACE, "consent", "scope"),
            found=f"{shown(Scope.REVIEW.value)} beside `corrections: label`",
            allowed="`label`, which lets a correction become one",
            hint="or leave `corrections` to a person: `review`",
        )
