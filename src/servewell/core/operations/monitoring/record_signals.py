"""What counting the prediction log tells of the log itself: lost, skewed and late records."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.core.catalog.profile import TrafficWindow
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.operations.monitoring.profiles import HOUR_S

LOOK_S: Final = 6 * HOUR_S
COUNTED: Final = {
    "lost": (
        "cannot be read: a file or a part of it is damaged or gone",
        Severity.TICKET,
        "servewell doctor",
    ),
    "skewed": (
        "were stamped more than ten minutes ahead: the clock of a worker is wrong",
        Severity.TICKET,
        "timedatectl status",
    ),
    "late": (
        "were counted more than an hour after they were written; nothing of them is missing",
        Severity.NOTE,
        "servewell status",
    ),
}


def record_signals_of(endpoint: str, windows: Sequence[TrafficWindow]) -> Iterator[Signal]:
    """Yield what is to be told of the records of an endpoint in these windows, which it is of."""
    for name, (what, severity, command) in COUNTED.items():
        those = [one for one in windows if getattr(one, name)]
        records = sum(getattr(one, name) for one in those)
        if records:
            yield Signal(
                kind=SignalKind.SERVING,
                severity=severity,
                endpoint=endpoint,
                subject=f"records {name}",
                since=min(one.start for one in those),
                what=f"{records:,} prediction records {what}.",
                because=f"they were counted as {name} when the prediction log became profiles, in "
                f"{len(those)} of the windows of the last {LOOK_S // HOUR_S} hours",
                value=float(records),
                bound=0.0,
                command=command,
            )
