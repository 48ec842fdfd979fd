"""What all workers of a machine have taken of each limit, counted without a lock.

Each worker counts what it takes in a file of its own, and reads those of the others now and then.
The files outlive their workers, so a day's count goes on after a restart.
"""

from pathlib import Path
from typing import Final

from servewell.serving.counters import OVERFLOW, Counters, CountersView

LOOK_S: Final = 0.05  # between looks at what the others have taken


class Ledger:
    """The files of all workers: one's own to write, the others' to read."""

    def __init__(self, folder: Path, *, worker: int) -> None:
        """Open one's own.

        Raises: OSError.
        """
        self._folder = folder
        self._own = folder / f"limits-{worker}"
        self._look_at = float("-inf")
        self.counters = Counters(self._own)
        self.others: list[CountersView] = []
        self._known: set[Path] = {self._own}

    def look(self, at: float) -> None:
        """Find the files of workers that have come since; `at` is in seconds."""
        if at < self._look_at:
            return
        self._look_at = at + LOOK_S
        for path in self._folder.glob("limits-*"):
            if path not in self._known:
                try:
                    self.others.append(CountersView(path))
                except (OSError, ValueError):
                    continue  # it is looked for again
                self._known.add(path)


class Account:
    """What is taken of one limit: in all, and today.

    Three numbers of each worker: all that it ever took, the day (since the epoch, UTC) in which it
    took last, and what it had taken before that day. A reader sees them in the other order than
    they are written, so what it takes for today is never more than it was. A file has room for
    some five thousand limits; those beyond are counted by each worker for itself.
    """

    def __init__(self, ledger: Ledger, name: str) -> None:
        counters = ledger.counters
        self._ledger = ledger
        self._names = (name, f"{name}:day", f"{name}:before")
        self._taken, self._day, self._before = (counters.slot(one) for one in self._names)
        self._values: memoryview | list[int] = counters.values
        if self._before == counters.slot(OVERFLOW):  # the file is full: it is counted here alone
            self._values, self._taken, self._day, self._before = [0, 0, 0], 0, 1, 2
        self._seen: dict[CountersView, int] = {}
        self._today_of_others = 0
        self._looked_on = 0
        self.look_at = float("-inf")  # seconds of a clock that never goes back

    def add(self, amount: int, day: int) -> None:
        """Count what is taken on a day."""
        values = self._values
        if values[self._day] != day:
            values[self._before] = values[self._taken]
            values[self._day] = day
        values[self._taken] += amount

    def today(self, day: int) -> int:
        """Return what all workers have taken on a day, as far as was looked."""
        values = self._values
        own = values[self._taken] - values[self._before] if values[self._day] == day else 0
        return own + (self._today_of_others if self._looked_on == day else 0)

    def look(self, at: float, day: int) -> int:
        """Return what the others have taken since the last look; to be done at `look_at`.

        What they took before the first look is none of that. `at` is in seconds.
        """
        first = self.look_at == float("-inf")
        self.look_at = at if first else at + LOOK_S
        self._looked_on, self._today_of_others = day, 0
        self._ledger.look(at)
        news = sum(self._news_of(one, day) for one in self._ledger.others)
        return 0 if first else news

    def _news_of(self, other: CountersView, day: int) -> int:
        taken, on, before = (other.slot(name) for name in self._names)
        if taken is None or on is None or before is None:
            return 0
        values = other.values
        now, today = values[taken], values[on]
        if today == day:
            self._today_of_others += max(now - values[before], 0)
        last = self._seen.get(other, 0)
        self._seen[other] = now
        return max(now - last, 0)
