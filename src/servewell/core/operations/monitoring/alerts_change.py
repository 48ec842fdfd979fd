"""Which change came just before a condition began."""

from collections.abc import Iterable
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.signal import Signal

LOOK_BACK_S: Final = 7 * 86_400.0  # what is older is no news
SLACK_S: Final = 60.0  # a window of a minute begins before what happened within it
WORKERS: Final = "workers"

# What can change what an endpoint takes, gives, or how fast it is. Keys and gates cannot.
TELLING: Final = frozenset(
    {
        ChangeKind.DEPLOYED,
        ChangeKind.TRAFFIC_SET,
        ChangeKind.ROLLED_BACK,
        ChangeKind.QUARANTINED,
        ChangeKind.POLICY_SET,
        ChangeKind.LOADED,
        ChangeKind.UNLOADED,
        ChangeKind.SCALED,
        ChangeKind.STOPPED,
        ChangeKind.RESUMED,
        ChangeKind.ROLLOUT_STARTED,
        ChangeKind.ROLLOUT_MOVED,
        ChangeKind.ROLLOUT_ENDED,
        ChangeKind.SHADOW_STARTED,
        ChangeKind.RETRAINING,
        ChangeKind.DATASET,
        ChangeKind.WORKLOAD,
    }
)


def nearest_change(
    signal: Signal, changes: Iterable[Change], *, subjects: frozenset[str]
) -> Change | None:
    """Return the last telling change before a condition began, or None.

    `subjects` are what else its endpoint depends on: its workload, its dataset. That a change came
    first does not make it the cause; it is where to look first.

    Units:  times in seconds since the epoch.
    Raises: nothing.
    """
    latest = signal.since + SLACK_S
    near = [
        one
        for one in changes
        if one.kind in TELLING
        and latest - LOOK_BACK_S <= one.at <= latest
        and (not signal.endpoint or one.subject in {signal.endpoint, WORKERS, *subjects})
    ]
    return max(near, key=lambda one: (one.at, one.revision), default=None)
