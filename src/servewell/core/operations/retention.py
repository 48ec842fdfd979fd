"""Decide which parts of the prediction log go: the old ones, then those that do not fit."""

from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter

from servewell.errors import ServewellError


class RetentionError(ServewellError):
    """The retention of the prediction log contradicts itself."""

    code = "SW-520"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What the owner asked for."""

    keep_s: float  # seconds that a record is kept
    bytes_max: int  # bytes that the whole log may take

    def __post_init__(self) -> None:
        """Refuse a retention that would keep nothing."""
        if self.keep_s <= 0 or self.bytes_max <= 0:
            raise RetentionError(
                f"The prediction log cannot be kept for {self.keep_s:g} s "
                f"in {self.bytes_max} bytes.",
                why="it would lose each record as soon as it is written",
                fix="ask for at least a day with `records.retention_days`, and for at least a "
                "mebibyte with `records.bytes_max`",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the log that is removed whole or not at all."""

    name: str
    ends_at: float  # seconds since the epoch: no record of it is younger
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the log takes now."""

    now: float  # seconds since the epoch, UTC
    parts: tuple[Part, ...]
    bytes_held: int  # of what may not be removed: segments that are not compacted yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to remove, oldest first, and the sentence that says why."""

    remove: tuple[str, ...]
    because: str


def decide(retention: Retention, facts: Facts) -> Decision:
    """Return the parts to remove now.

    A part goes when its youngest record is past its time, so none goes early. Then the oldest
    go until the log fits; what may not be removed counts as well, so it can push out all others.
    Parts of the same age go in the order of their names.

    Units:  seconds, seconds since the epoch, bytes.
    Raises: nothing. A `Retention` is checked when it is built.
    """
    parts = sorted(facts.parts, key=attrgetter("ends_at", "name"))
    past = [part for part in parts if part.ends_at <= facts.now - retention.keep_s]
    kept = parts[len(past) :]
    left = facts.bytes_held + sum(part.bytes for part in kept)
    crowded = kept[: _how_many(kept, left - retention.bytes_max)]
    return Decision(
        remove=tuple(part.name for part in (*past, *crowded)),
        because=_because(retention, past=len(past), crowded=len(crowded), bytes_left=left),
    )


def _how_many(parts: list[Part], excess: int) -> int:
    """Return how many of the first parts make up for the excess in bytes; all, if they do not."""
    if excess <= 0:
        return 0
    freed = accumulate(part.bytes for part in parts)
    return next((count for count, so_far in enumerate(freed, 1) if so_far >= excess), len(parts))


def _because(retention: Retention, *, past: int, crowded: int, bytes_left: int) -> str:
    reasons = []
    if past:
        reasons.append(f"{past} older than {retention.keep_s / 86_400:g} d")
    if crowded:
        reasons.append(
            f"{crowded} of the oldest to make room: {bytes_left} bytes were kept and "
            f"{retention.bytes_max} are allowed"
        )
    return "; ".join(reasons) or "everything is within its time and the log fits"
