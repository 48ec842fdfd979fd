"""A home that served rows for hours, of which only the counters are kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.profiles_made import HOUR, NOON, Values, window_of
from flows.rollout_world import HandClock
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.profile import MINUTE_S, ReferenceProfile, TrafficWindow, WindowProfile
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_monitoring import MonitoringRules
from servewell.core.catalog.workload_objectives import ObjectiveRules
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.ports.profiles import CountedPart, Part

Hour = Callable[[int], Mapping[str, Values]]  # the values of hour 0, 1, 2 …


def serve(
    platform: Platform, endpoint: Endpoint, reference: ReferenceProfile, *, number: int = 1
) -> ReferenceProfile:
    """Deploy a version with this reference profile; return the profile as it is kept."""
    version = platform.registry.get(endpoint.name, number)
    deploy(platform, endpoint.name, model=endpoint.name, number=number)
    kept = replace(reference, package=version.package, version=version.name)
    platform.profiles.keep_reference(kept)
    return kept


def count_hours(
    platform: Platform, reference: ReferenceProfile, values: Hour, *, first: int, hours: int
) -> None:
    """Keep the counters of so many hours from `first` on, each as one minute of the hour."""
    for place in range(hours):
        window = window_of(reference, values(place), start=first + place * HOUR, seconds=MINUTE_S)
        name = f"{reference.version} {window.start}"
        keep(platform, replace(window, deployment=f"v{reference.version[-1]}"), name=name)


def keep(
    platform: Platform, window: WindowProfile, *, name: str, codes: dict[str, int] | None = None
) -> None:
    """Keep the counters of a minute, and the traffic that goes with them."""
    rows = window.rows.get("", 0)
    refused = sum((codes or {}).values())
    traffic = TrafficWindow(
        endpoint=window.endpoint,
        deployment=window.deployment,
        start=window.start,
        seconds=window.seconds,
        requests=rows + refused,
        refused=refused,
        codes=codes or {},
    )
    hour = window.start // HOUR * HOUR
    part = Part(segment=name, endpoint=window.endpoint, hour=hour, records=rows)
    platform.profile_parts.add(
        CountedPart(part=part, windows=(window,), traffic=(traffic,), waiting={})
    )


@dataclass(slots=True)
class Then:
    """`Platform`: that of a home, at any time."""

    platform: Platform
    clock: HandClock = field(default_factory=lambda: HandClock(at=float(NOON)))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        return getattr(self.platform, name)

    def declare(
        self,
        rules: MonitoringRules,
        objectives: ObjectiveRules = ObjectiveRules(),  # noqa: B008 - it is frozen
    ) -> KnownWorkload:
        """Have the home know the workload `flights` with these rules."""
        known = KnownWorkload(
            name="flights",
            folder="flights",
            digest="",
            workload=Workload(workload="flights", monitoring=rules, objectives=objectives),
            at=self.clock.at,
            principal="ada",
            scheduled_from=self.clock.at,
        )
        return self.platform.workloads.save(known)
