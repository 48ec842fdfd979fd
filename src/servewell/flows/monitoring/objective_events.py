"""The events that an objective is judged by, from the figures that count them."""

from dataclasses import dataclass, field
from typing import Final

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.objective import Objective, ObjectiveKind, Tally
from servewell.core.catalog.series import DAY_S, HOUR_S, Sample
from servewell.core.catalog.series_names import (
    COUNTED,
    FAILED,
    LOOK,
    LOOKED,
    REFUSED,
    REQUESTS,
    SLOW,
    of_endpoint,
)
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.flows.monitoring.figures import known_until
from servewell.flows.platform import Platform
from servewell.ports.workloads import WorkloadMissingError

LAG_MAX_S: Final = 900.0  # a segment is counted some minutes after its first record, at most
# A window is made of steps that are short beside it: up to so many seconds of these.
STEPS: Final = ((12 * HOUR_S, 60), (6 * DAY_S, 300), (400 * DAY_S, HOUR_S))
# What is bad, of what, and what of that does not count.
EVENTS: Final[dict[ObjectiveKind, tuple[str, str, tuple[str, ...]]]] = {
    ObjectiveKind.AVAILABILITY: (FAILED, REQUESTS, (REFUSED,)),
    ObjectiveKind.LATENCY: (SLOW, REQUESTS, (REFUSED, FAILED)),
}


@dataclass(slots=True, kw_only=True)
class Events:
    """The events of one objective, from the series that count them; each is read once a step."""

    platform: Platform
    names: tuple[str, ...]  # of the bad, of all, and of what of these does not count
    until: float  # end of the newest event, or now where that is long ago
    measured_until: float | None
    weighs: bool = False  # whether the events are looks: as many as there are points
    _read: dict[tuple[str, int], tuple[Sample, ...]] = field(default_factory=dict)

    def tally(self, seconds: float) -> Tally:
        """Return the events of the last so many seconds."""
        bad, total, *less = (self._sum(name, seconds) for name in self.names)
        if self.weighs:
            total = sum(one.weight for one in self.samples(self.names[0], seconds))
        return Tally(bad=bad, total=max(total - sum(less), bad))

    def samples(self, name: str, seconds: float) -> tuple[Sample, ...]:
        """Return the samples of a series over the last so many seconds."""
        longest, step = next(one for one in STEPS if seconds <= one[0])
        if (name, step) not in self._read:
            self._read[name, step] = self.platform.series.read(
                name, since=self.until - longest, until=self.until, step=step
            )
        since = self.until - seconds
        return tuple(one for one in self._read[name, step] if one.start >= since)

    def _sum(self, name: str, seconds: float) -> float:
        return sum(one.total for one in self.samples(name, seconds))


def rules_of(platform: Platform, endpoint: Endpoint) -> ObjectiveRules:
    """Return the rules that hold for an endpoint: its workload's, or the usual ones.

    Raises: StateUnavailableError.
    """
    try:
        return platform.workloads.get(endpoint.workload).workload.objectives
    except WorkloadMissingError:
        return ObjectiveRules()


def events_of(platform: Platform, objective: Objective, *, now: float) -> Events:
    """Return the events of an objective. `now` is in seconds (epoch).

    Raises: StateUnavailableError.
    """
    if objective.kind in EVENTS:
        bad, total, less = EVENTS[objective.kind]
        names = tuple(of_endpoint(objective.endpoint, one) for one in (bad, total, *less))
        return _until(platform, objective, names, now=now)
    name = of_endpoint(objective.endpoint, LOOK, objective.name)
    return _until(platform, objective, (name, name), now=now)


def _until(
    platform: Platform, objective: Objective, names: tuple[str, ...], *, now: float
) -> Events:
    """Return the events up to now, or up to the newest where that is recent.

    Where nobody has counted or looked for a while, that there is nothing newer says nothing: then
    what was known last still holds.
    """
    newest = platform.series.newest(names[1]).get(names[1])
    end = None if newest is None else min(newest + 60.0, now)
    by_look = objective.kind not in EVENTS
    known = known_until(platform, of_endpoint(objective.endpoint, LOOKED if by_look else COUNTED))
    unseen = known is not None and now - known >= LAG_MAX_S
    holds = end is not None and (unseen or now - end < LAG_MAX_S)
    return Events(
        platform=platform,
        names=names,
        until=end if end is not None and holds else now,
        measured_until=end,
        weighs=by_look,
    )
