"""Watch again and again: what a monitor said is kept for as long as nothing new was written."""

from collections.abc import Sequence
from dataclasses import dataclass

from servewell.flows.monitoring.monitors import MONITORS, Answer, Monitor, ask
from servewell.flows.monitoring.readings import tell_readings
from servewell.flows.monitoring.watch import look_at, seen_of
from servewell.flows.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a monitor said, and when."""

    answer: Answer
    at: float  # seconds since the epoch, UTC
    revision: int  # of the history then


class Watching:
    """The looks of one process at all that is watched. All are of one thread."""

    def __init__(self, own: Sequence[Monitor] = ()) -> None:
        """`own` monitors know what only this process can know."""
        self._monitors = (*MONITORS, *own)
        self._kept: dict[str, Kept] = {}

    def watch(self, platform: Platform) -> None:
        """Ask each monitor for which something may be new, and keep what is to be told.

        A change of what is served makes all of them be asked; so does a fault the one that had it.

        Raises: StateUnavailableError, StateConflictError.
        """
        now, revision = platform.clock.now(), platform.history.revision()
        for one in self._monitors:
            if not self._holds(one, now=now, revision=revision):
                answer = ask(platform, one, now=now)
                self._kept[one.name] = Kept(answer=answer, at=now, revision=revision)
        answers = {name: kept.answer for name, kept in self._kept.items()}
        look_at(platform, seen_of(answers, self._monitors, now=now))

    def tell_readings(self, platform: Platform) -> None:
        """Tell the figures, with what the monitors said last. Raises: StorageError."""
        kept = [(one.name, self._kept.get(one.name)) for one in MONITORS]
        answers = {name: one.answer for name, one in kept if one is not None}
        tell_readings(platform, answers=answers if len(answers) == len(MONITORS) else None)

    def _holds(self, monitor: Monitor, *, now: float, revision: int) -> bool:
        kept = self._kept.get(monitor.name)
        if kept is None or kept.answer.faults or kept.revision != revision:
            return False
        return 0 <= now - kept.at < monitor.every_s
