"""What counting tells of the prediction log: lost, skewed, late records, a damaged reference."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.core.catalog.endpoint import Deployment
from servewell.core.catalog.profile import TrafficWindow
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.operations.monitoring.profiles import HOUR_S

LOOK_S: Final = 6 * HOUR_S
CLOCK: Final = "timedatectl status"
AFTER: Final = "{:,} prediction records were counted more than an hour after they were stamped"
COUNTED: Final = {
    "lost": (
        "{:,} prediction records cannot be read: a file or a part of it is damaged or gone.",
        Severity.TICKET,
        "servewell doctor",
    ),
    "damaged": (
        "{:,} bytes of the prediction log are damaged, and what stood in them is lost.",
        Severity.TICKET,
        "servewell doctor",
    ),
    "skewed": (
        "{:,} prediction records were stamped over ten minutes ahead: a worker's clock is wrong.",
        Severity.TICKET,
        CLOCK,
    ),
    "late": (
        f"{AFTER}: the control process was away, or a worker's clock is behind (`{CLOCK}`).",
        Severity.NOTE,
        "servewell status",
    ),
}
LATE_ALL_THE_SAME: Final = (
    f"{AFTER}, though control was there: a worker's clock is behind or its segment came late.",
    Severity.TICKET,
    CLOCK,
)


def record_signals_of(
    endpoint: str, windows: Sequence[TrafficWindow], *, attended: bool
) -> Iterator[Signal]:
    """Yield what is to be told of the records of an endpoint in these windows, which it is of.

    `attended` is whether the control process was there before the first of them that are late, so
    that it is not the reason.
    """
    counted = COUNTED | ({"late": LATE_ALL_THE_SAME} if attended else {})
    for name, (what, severity, command) in counted.items():
        those = [one for one in windows if getattr(one, name)]
        total = sum(getattr(one, name) for one in those)
        if total:
            yield Signal(
                kind=SignalKind.SERVING,
                severity=severity,
                endpoint=endpoint,
                subject=f"records {name}",
                since=min(one.start for one in those),
                what=what.format(total),
                because=f"they were counted as {name} when the prediction log became profiles, in "
                f"{len(those)} of the windows of the last {LOOK_S // HOUR_S} hours",
                value=float(total),
                bound=0.0,
                points=(_points(name, those),),
                command=command,
                runbook="records",
            )


def damaged_reference(endpoint: str, deployment: Deployment, because: str, *, now: float) -> Signal:
    """Return that what a deployment is to be held against cannot be read."""
    return Signal(
        kind=SignalKind.FEED,
        severity=Severity.TICKET,
        endpoint=endpoint,
        deployment=deployment.name,
        subject="reference",
        since=now,
        what=f"The reference profile of `{deployment.model}:{deployment.version}` cannot be read: "
        "whether it drifts cannot be told.",
        because=because,
        command="servewell doctor",
        runbook="records",
    )


def _points(name: str, windows: Sequence[TrafficWindow]) -> Points:
    found: dict[int, int] = {}
    for one in windows:
        found[one.start] = found.get(one.start, 0) + getattr(one, name)
    return Points(
        name=f"{name} when it was found",
        unit="bytes" if name == "damaged" else "records",
        times=tuple(map(float, sorted(found))),
        values=tuple(float(found[start]) for start in sorted(found)),
    )
