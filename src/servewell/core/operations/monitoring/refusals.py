"""Requests that are refused because their inputs do not fit the model: a feed that broke before it.

Such rows reach no profile, so drift knows nothing of them, however many they are.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

BREAKING_MIN: Final = 0.1  # share of the requests, from which they break the feed
BREAKING_ROWS: Final = 20  # requests of that kind, at least
NAMED_MAX: Final = 4
UNKNOWN: Final = "unknown-input"
MISSING: Final = "missing-input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """One thing that is wrong with the inputs of refused requests."""

    what: str  # `null`, `wrong-type` …
    column: str  # empty where it is about none that the model has
    share: float  # of the refused requests, 0..1

    def __str__(self) -> str:
        named = f"`{self.column}` {self.what}" if self.column else self.what
        return f"{named} ({self.share:.0%})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Requests of an hour whose inputs do not fit the signature of the model."""

    requests: int = 0  # all that came over the time
    unfitting: int = 0  # that were refused for their inputs
    since: float | None = None  # when the first of these came, in seconds since the epoch, UTC
    unknown: int = 0  # of these, that named an unknown input and lacked a known one
    lacking: tuple[str, ...] = ()  # the known inputs that they lacked
    misfits: tuple[Misfit, ...] = ()  # the most frequent first

    @property
    def renamed(self) -> bool:
        """Whether somebody renamed an input."""
        return self._many(self.unknown)

    @property
    def break_the_feed(self) -> bool:
        """Whether they are so many that no single caller's mistake explains it."""
        return self.renamed or self._many(self.unfitting)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the inputs that are to blame; none where they are few."""
        if self.renamed:
            return self.lacking
        named = (one.column for one in self._worst if one.column)
        return tuple(dict.fromkeys(named)) if self.break_the_feed else ()

    @property
    def what(self) -> str:
        """Return in one sentence what happens."""
        if self.renamed:
            named = ", ".join(f"`{one}`" for one in self.lacking[:NAMED_MAX])
            return f"Callers send {named or 'an input'} under another name."
        return f"{self._counted} are refused for their inputs: {self._told}."

    @property
    def because(self) -> str:
        """Return how it is known, with the figures."""
        if not self.renamed:
            return f"{self._counted} are refused: {self._told}"
        named = ", ".join(f"`{one}`" for one in self.lacking[:NAMED_MAX])
        return (
            f"{self.unknown:,} of {self.requests:,} requests were refused because they name an "
            f"input that the model does not have and lack {named or 'one that it has'}: it was "
            "renamed"
        )

    @property
    def _counted(self) -> str:
        return f"{self.unfitting:,} of {self.requests:,} requests of the last hour"

    @property
    def _worst(self) -> tuple[Misfit, ...]:
        return self.misfits[:NAMED_MAX]

    @property
    def _told(self) -> str:
        return ", ".join(map(str, self._worst)) or "why was not recorded"

    def _many(self, count: int) -> bool:
        return count >= BREAKING_ROWS and count >= BREAKING_MIN * self.requests


NO_REFUSALS: Final = Refusals()


def explained(counted: Refusals, reasons: Sequence[str]) -> Refusals:
    """Return what a sample of recorded reasons says of requests that were counted.

    A reason is that of `serving.protocols.faults`: `null temp row 0; unknown-input`.

    Raises: nothing.
    """
    found = [frozenset(_misfits(one)) for one in reasons]
    count = max(len(found), 1)
    renamed = [one for one in found if (UNKNOWN, "") in one and any(_is_missing(m) for m in one)]
    lacking = Counter(column for one in renamed for what, column in one if what == MISSING)
    tally = Counter(misfit for one in found for misfit in one)
    ordered = sorted(tally, key=lambda misfit: (-tally[misfit], misfit))
    return replace(
        counted,
        unknown=counted.unfitting * len(renamed) // count,
        lacking=tuple(sorted(lacking, key=lambda name: (-lacking[name], name))),
        misfits=tuple(
            Misfit(what=what, column=column, share=tally[what, column] / count)
            for what, column in ordered
        ),
    )


def _is_missing(misfit: tuple[str, str]) -> bool:
    return misfit[0] == MISSING and bool(misfit[1])


def _misfits(reason: str) -> Iterator[tuple[str, str]]:
    """Yield the kind of each fault of a request, and the input that it is of."""
    for part in reason.split("; "):
        what, _, rest = part.partition(" ")
        name, _, row = f" {rest}".rpartition(" row ")
        yield what, (name if row.isdigit() else rest).strip()
