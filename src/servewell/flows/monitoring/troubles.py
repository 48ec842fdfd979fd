"""What the duties of the control process fail with: said once, and a signal while it stands."""

import sys
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.flows.monitoring.monitors import Monitor, words_of
from servewell.flows.platform import Platform

AGAIN_S: Final = 600.0  # after which the same fault is said again
STANDS_AFTER: Final = 2  # times in a row: once, somebody else may have been first


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A fault that a duty ends with, time after time."""

    words: str
    because: str  # in one line
    since: float  # seconds since the epoch, UTC
    said_at: float
    times: int = 1


class Troubles:
    """The duties that fail. Each is done by one thread; any other may ask."""

    def __init__(self) -> None:
        self._standing: dict[str, Trouble] = {}

    @property
    def monitor(self) -> Monitor:
        """What tells those who watch."""
        return Monitor(
            name="duties",
            signals=self.signals,
            kinds=frozenset({SignalKind.SERVING}),
            knows_past=False,
        )

    def failed(self, duty: str, error: Exception, *, now: float) -> None:
        """Note what a duty ended with, and say it where it is news. `now` is in seconds (epoch)."""
        words = f"{type(error).__name__}: {error}"
        found = Trouble(words=words, because=words_of(error), since=now, said_at=now)
        before = self._standing.get(duty)
        if before is not None:
            found = replace(found, since=before.since, times=before.times + 1)
        if before is None or before.words != words or not 0 <= now - before.said_at < AGAIN_S:
            _say(f"{duty}: {words}")
        else:
            found = replace(found, said_at=before.said_at)
        self._standing[duty] = found

    def done(self, duty: str) -> None:
        """Forget what a duty failed with: it was done."""
        if self._standing.pop(duty, None) is not None:
            _say(f"{duty}: it works again")

    def signals(self, _: Platform, *, now: float) -> tuple[Signal, ...]:
        """Return a signal of each duty that fails again and again."""
        del now
        standing = tuple(self._standing.items())
        return tuple(_signal(duty, one) for duty, one in standing if one.times >= STANDS_AFTER)


def _signal(duty: str, trouble: Trouble) -> Signal:
    return Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET,
        endpoint="",
        subject=f"duty {duty}",
        since=trouble.since,
        what=f"The duty `{duty}` of the control process fails again and again.",
        because=f"it ended so {trouble.times:,} times: {trouble.because}",
        value=float(trouble.times),
        bound=0.0,
        command="servewell logs control",
        runbook="duty-fails",
    )


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
