"""Sending requests at a rate, whatever the server does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.tls import TlsFiles
from servewell.core.performance.load_plan import Arrivals, Stage
from servewell.core.performance.load_result import Window
from servewell.errors import ServewellError


class LoadFailedError(ServewellError):
    """A load test could not be carried out."""

    code = "SW-334"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent where, and when."""

    url: str  # scheme, host and port
    path: str
    trust: TlsFiles | None  # whom to believe, where it is what a home serves
    authority: str  # PEM: who is believed elsewhere, beside those whom this machine believes
    headers: dict[str, str]
    bodies: tuple[bytes, ...]  # sent one after the other, again and again
    stages: tuple[Stage, ...]
    arrivals: Arrivals
    seed: int  # of the arrivals
    connections_max: int
    timeout_s: float  # after which a request counts as failed
    objective_ms: float  # within which an answer is good


class LoadGenerator(Protocol):
    """Runs load tests. Contract: tests/ports/test_load_generator.py.

    - Requests become due as the plan says, whatever the server does; the latency of each counts
      from when it was due;
    - every request that became due ends in exactly one window, answered or not;
    - a key stands in no list of processes.
    """

    def run(self, load: Load, observe: Callable[[Window], bool]) -> None:
        """Run a load to its end, or until `observe`, which gets each second, says False.

        Raises: LoadFailedError.
        """
        ...
