"""How busy the other workers of the machine are, read from their counters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.serving.counters import Counters, read_counters
from servewell.serving.metrics import CONNECTIONS, heartbeat_series

LOOK_S: Final = 0.1  # between looks for workers that have come since
ALIVE_S: Final = 3  # a worker notes the time once a second


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sibling:
    counters: Counters
    connections: int
    heartbeat: int


class Siblings:
    """The other workers.

    All workers wait for connections on one listener, and the kernel wakes whom it likes: with
    few connections one worker may get them all. So a worker that holds more than another lets
    the other go first.
    """

    def __init__(self, folder: Path, *, own: Path) -> None:
        self._folder = folder
        self._own = own
        self._known: dict[Path, _Sibling] = {}
        self._looked_at = 0.0

    def fewest(self, now: float) -> int | None:
        """Return the fewest connections that any other live worker holds, or None without one."""
        if abs(now - self._looked_at) > LOOK_S:
            self._looked_at = now
            self._look()
        alive = [
            one.counters.values[one.connections]
            for one in self._known.values()
            if abs(now - one.counters.values[one.heartbeat]) < ALIVE_S  # a clock may be set back
        ]
        return min(alive, default=None)

    def _look(self) -> None:
        for path in self._folder.glob("counters-*"):
            if path not in self._known and path != self._own and (sibling := _opened(path)):
                self._known[path] = sibling


def _opened(path: Path) -> _Sibling | None:
    """Return a worker that has all its counters. Making one of them is its own affair."""
    heartbeat = heartbeat_series(path.name.rpartition("-")[2])
    if not read_counters(path).keys() >= {CONNECTIONS, heartbeat}:
        return None
    try:
        counters = Counters(path)
    except OSError:
        return None
    return _Sibling(
        counters=counters,
        connections=counters.slot(CONNECTIONS),
        heartbeat=counters.slot(heartbeat),
    )
