"""How old what predictions are made from is, and whether that is too old."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.objective import DAY_S

# What has an age, and the name of its objective.
AGES: Final = {
    "model": "freshness of the model",
    "data": "freshness of the data",
    "label": "freshness of the newest label",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """The age of the model, its data or its labels at one look."""

    of: str  # `model`, `data` or `label`
    days: float | None  # None where there is none, so that its age cannot be told
    stale: bool
    because: str


def age_of(of: str, *, made_at: float | None, now: float, days_max: float | None) -> Age:
    """Return the age of `model`, `data` or `label`, and whether it is beyond `days_max`.

    What is not there is stale where an age is asked for: no label at all is no fresh label.

    Units:  times in seconds since the epoch; ages in days.
    Raises: nothing.
    """
    if made_at is None:
        return Age(of=of, days=None, stale=days_max is not None, because=f"there is no {of}")
    days = max(0.0, now - made_at) / DAY_S
    stale = days_max is not None and days > days_max
    against = f", against {days_max:g}" if days_max is not None else ""
    return Age(
        of=of, days=days, stale=stale, because=f"{_named(of)} is {days:.1f} days old{against}"
    )


def _named(of: str) -> str:
    return "the newest label" if of == "label" else f"the {of}"
