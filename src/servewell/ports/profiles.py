"""What deployments took and gave, and how they answered, in counters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from servewell.core.catalog.profile import (
    MINUTE_S,
    ReferenceProfile,
    TrafficWindow,
    WindowProfile,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The records of one segment, endpoint and hour: what is counted at once, and once."""

    segment: str
    endpoint: str
    hour: int  # its start, in seconds since the epoch, UTC
    records: int
    missing: int = 0  # records of the segment that are lost; told with its first part
    damaged_bytes: int = 0  # of the segment that cannot be read; told with its first part


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPart:
    """What was counted of a part, in windows of one minute."""

    part: Part
    windows: tuple[WindowProfile, ...] = ()
    traffic: tuple[TrafficWindow, ...] = ()
    waiting: dict[str, int] = field(default_factory=dict)
    """Rows of packages that have no reference profile yet, which are not counted."""


class Profiles(Protocol):
    """Reads profiles. Contract: tests/ports/test_profiles.py.

    - Windows are of a minute, an hour or a day, and start at a whole one of them, UTC. Minutes
      are kept for two days, hours for sixty, days for two years;
    - a look back takes each record once: the windows that begin within [since, until), the finest
      that are kept of each time. Two looks that meet share none and leave none out;
    - a reference profile never changes.
    """

    def keep_reference(self, reference: ReferenceProfile) -> None:
        """Keep the reference profile of a package; what is kept of it already stays.

        Raises: StateUnavailableError.
        """
        ...

    def reference(self, package: str) -> ReferenceProfile | None:
        """Return the reference profile of a package, or None where there is none yet.

        Raises: StateUnavailableError.
        """
        ...

    def windows(
        self, endpoint: str, deployment: str, *, since: float, until: float, finest: int = MINUTE_S
    ) -> tuple[WindowProfile, ...]:
        """Return the windows as they are stored, oldest first, none shorter than `finest` seconds.

        Times are in seconds since the epoch, UTC.

        Raises: StateUnavailableError.
        """
        ...

    def total(
        self, endpoint: str, deployment: str, *, since: float, until: float
    ) -> WindowProfile | None:
        """Return the same windows added up, or None where there are none.

        Of several packages it is the one that answered last: they have bins of their own.

        Raises: StateUnavailableError.
        """
        ...

    def traffic(
        self, endpoint: str, *, since: float, until: float, finest: int = MINUTE_S
    ) -> tuple[TrafficWindow, ...]:
        """Return how the deployments of an endpoint answered, oldest first.

        Requests that belong to no endpoint, and records that are lost and nobody knows of which
        endpoint they were, are those of the endpoint without a name.

        Raises: StateUnavailableError.
        """
        ...

    def latency_ms(
        self, windows: Sequence[TrafficWindow], shares: Sequence[float]
    ) -> tuple[float, ...] | None:
        """Return the latencies within which these shares (0..1) of the requests were answered.

        In milliseconds, with an error of rank of at most 1.4 %; None where none was answered.
        """
        ...


class ProfileParts(Protocol):
    """Keeps what is counted, part by part. Contract: tests/ports/test_profiles.py.

    - A part counts once, however often it is added and wherever a process is killed: its counts
      and the mark that it was counted are kept together, or neither;
    - parts may come in any order and at any time: a late one adds to the windows of its time.
    """

    def add(self, counted: CountedPart) -> bool:
        """Keep what was counted; False where the part was counted before.

        Raises: StateUnavailableError.
        """
        ...

    def uncounted(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Return those of the parts that were not counted yet.

        Raises: StateUnavailableError.
        """
        ...

    def cursor(self) -> str:
        """Return how far the journal of the prediction log was counted; empty at first.

        Raises: StateUnavailableError.
        """
        ...

    def advance(self, cursor: str) -> None:
        """Keep how far the journal was counted.

        Raises: StateUnavailableError.
        """
        ...

    def waiting(self) -> dict[str, tuple[Part, ...]]:
        """Return, by package, the parts with rows that wait for its reference profile.

        The `records` of such a part are the rows that wait.

        Raises: StateUnavailableError.
        """
        ...

    def add_waiting(self, part: Part, package: str, windows: Sequence[WindowProfile]) -> bool:
        """Keep the rows of a package that waited; False where none of that part do any more.

        Raises: StateUnavailableError.
        """
        ...

    def forget(self, now: float) -> None:
        """Let go of the windows that are past the time for which their length is kept.

        Rows that waited for a reference profile for as long as hours are kept go too. After a leap
        of the clock nothing goes for an hour, so that one that was wrong does no harm.

        Raises: StateUnavailableError.
        """
        ...
