"""Decide how many workers run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDecision:
    """How many workers are to run, and the sentence that says why."""

    workers: int
    needed: bool  # whether that is another number than now
    because: str


def decide_scale(now: int, *, wanted: int) -> ScaleDecision:
    """Return what becomes of `now` workers where so many are wanted."""
    if now == wanted:
        return ScaleDecision(workers=now, needed=False, because=f"{_count(now)} run already")
    because = f"{_count(now)} before, {_count(wanted)} from now on"
    return ScaleDecision(workers=wanted, needed=True, because=because)


def _count(workers: int) -> str:
    return "one worker" if workers == 1 else f"{workers} workers"
