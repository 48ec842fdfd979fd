"""Decide whether a model version has ended its process too often to be run again."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DEATHS_MAX: Final = 3
WITHIN_S: Final = 60.0
# What native code that goes wrong ends by. A person, a supervisor and a system without memory use
# others.
FAULTS: Final = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Whether a version is run again, and the sentence that says why not."""

    refused: bool
    because: str = ""


def decide_quarantine(deaths: Sequence[float], *, now: float, last: str) -> Quarantine:
    """Return whether a version that ended its process at these times is run again.

    `last` says how it ended the last time. What was answered between counts for nothing: a
    version that is right most of the time and takes its process with it every few seconds is as
    bad for the callers whose requests it loses.

    Units:  times in seconds, of one clock; `DEATHS_MAX` within `WITHIN_S` is too often.
    Raises: nothing.
    """
    recent = [at for at in deaths if now - at < WITHIN_S]
    if len(recent) < DEATHS_MAX:
        return Quarantine(refused=False)
    return Quarantine(
        refused=True,
        because=f"its process ended {len(recent)} times within {WITHIN_S:.0f} s, "
        f"the last time because {last}",
    )


def ended_by_itself(code: int) -> bool:
    """Return whether a process ended by what it ran, rather than by somebody's word.

    Units:  `code` is an exit code, or a signal as a negative number.
    Raises: nothing.
    """
    return code > 0 or -code in FAULTS
