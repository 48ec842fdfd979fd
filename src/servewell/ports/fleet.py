"""The processes of this machine: the supervisor, its workers, the control process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from servewell.core.catalog.tls import TlsFiles
from servewell.core.catalog.workload import Telemetry
from servewell.errors import ServewellError

# Addresses that stand for every address of the machine, and one of them to call.
HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


class PortTakenError(ServewellError):
    """Another program listens on the port."""

    code = "SW-503"


class TelemetryMissingError(ServewellError):
    """Spans are to be exported, and the packages that make them are not installed."""

    code = "SW-135"


class NotServingError(ServewellError):
    """Nothing serves from this home, or its workers did not come up in time."""

    code = "SW-504"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What the supervisor is to keep running."""

    host: str
    port: int
    workers: int
    drain_s: float  # seconds that requests in flight may take when a worker stops
    lame_duck_s: float = 0.0  # seconds before, in which it takes requests and says not ready
    connections_max: int = 4_096  # that each worker holds
    tls: TlsFiles | None = None  # None for plain HTTP
    retention_days: int
    record_bytes_max: int
    telemetry: Telemetry = field(default_factory=Telemetry)

    @property
    def origin(self) -> str:
        """Scheme, host and port by which a program of this machine reaches what is served."""
        host = HERE.get(self.host, self.host)
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """What is running now."""

    supervisor: int | None  # pid, None where none runs; its workers may outlive it
    control: int | None
    workers: dict[int, int]  # index -> pid of those alive
    plan: FleetPlan | None
    started_at: float | None


def running_note(worker: int) -> str:
    """Return the name of the file in which a worker notes what it runs, for the one after it."""
    return f"running-{worker}"


class Fleet(Protocol):
    """Starts, watches and stops the processes. Contract: tests/ports/test_fleet.py.

    - One supervisor at most runs in a home; a second start finds the first.
    - A dead supervisor's workers are found again, and replaced without a gap in serving.
    """

    def start(self, plan: FleetPlan) -> FleetState:
        """Start the supervisor in the background, or find the one that runs.

        Returns once it has its port.

        Raises: PortTakenError, TelemetryMissingError, NotServingError, StorageError.
        """
        ...

    def state(self) -> FleetState:
        """Return what is running now."""
        ...

    def scale(self, workers: int) -> None:
        """Keep so many workers running from now on, also after the supervisor was replaced.

        Returns at once. Workers come one by one; those that go answer what they began.

        Raises: NotServingError where no supervisor runs, StorageError.
        """
        ...

    def stop(self, timeout_s: float, *, lame_duck: bool = False) -> bool:
        """Drain and stop everything; whether anything ran.

        As a lame duck, workers say for the time of the plan that they are not ready, and still
        take requests, before they close their door.

        Raises: NotServingError where something still runs after the time.
        """
        ...

    def logs(self) -> tuple[Path, ...]:
        """Return the log files of the processes."""
        ...
