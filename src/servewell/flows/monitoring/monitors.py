"""What watches, and how it is asked: a fault of one monitor or endpoint is no other's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.signal import Signal, SignalKind
from servewell.errors import ServewellError
from servewell.flows.monitoring.anomalies import anomaly_signals
from servewell.flows.monitoring.change import change_signals
from servewell.flows.monitoring.drift_signals import drift_signals
from servewell.flows.monitoring.feedback_signals import feedback_signals
from servewell.flows.monitoring.objectives import objective_signals
from servewell.flows.monitoring.profiles import record_signals
from servewell.flows.monitoring.quality import quality_signals
from servewell.flows.monitoring.serving import serving_signals
from servewell.flows.monitoring.undelivered import delivery_signals
from servewell.flows.platform import Platform

if TYPE_CHECKING:
    from servewell.ports.endpoints import Endpoints

COUNTED_EVERY_S: Final = 60.0  # the figures of the traffic are counted as often
JUDGED_EVERY_S: Final = 300.0  # a half hour is judged once
EVERY_ENDPOINT: Final = ""  # in place of an endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """What finds signals, and of which kinds."""

    name: str
    signals: Callable[..., tuple[Signal, ...]]  # (platform, *, now)
    kinds: frozenset[SignalKind]  # of all signals that it can find
    knows_past: bool = True  # whether it can say what it would have said at another time
    every_s: float = 0.0  # how often what it reads is written; 0 where it is to be asked each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a monitor says, and of what it cannot say anything."""

    signals: tuple[Signal, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)  # by endpoint, or EVERY_ENDPOINT: why


Answers = Mapping[str, Answer]  # by the name of the monitor

MONITORS: Final[tuple[Monitor, ...]] = (
    Monitor(
        name="serving",
        signals=serving_signals,
        kinds=frozenset({SignalKind.SERVING, SignalKind.ROOM}),
        knows_past=False,
    ),
    Monitor(
        name="records",
        signals=record_signals,
        kinds=frozenset({SignalKind.SERVING, SignalKind.FEED}),
        every_s=COUNTED_EVERY_S,
    ),
    Monitor(
        name="objectives",
        signals=objective_signals,
        kinds=frozenset(
            {
                SignalKind.AVAILABILITY,
                SignalKind.LATENCY,
                SignalKind.FRESHNESS,
                SignalKind.DRIFT,
                SignalKind.QUALITY,
                SignalKind.SERVING,  # that nobody counts or looks
            }
        ),
        every_s=COUNTED_EVERY_S,
    ),
    Monitor(
        name="drift",
        signals=drift_signals,
        kinds=frozenset({SignalKind.DRIFT, SignalKind.FEED}),
        every_s=COUNTED_EVERY_S,
    ),
    Monitor(
        name="quality",
        signals=quality_signals,
        kinds=frozenset({SignalKind.QUALITY}),
        every_s=COUNTED_EVERY_S,
    ),
    Monitor(
        name="feedback",
        signals=feedback_signals,
        kinds=frozenset({SignalKind.QUALITY}),
        knows_past=False,
        every_s=COUNTED_EVERY_S,
    ),
    Monitor(
        name="anomalies",
        signals=anomaly_signals,
        kinds=frozenset({SignalKind.ANOMALY}),
        every_s=JUDGED_EVERY_S,
    ),
    Monitor(
        name="changes",
        signals=change_signals,
        kinds=frozenset({SignalKind.CHANGE}),
        knows_past=False,
    ),
    Monitor(
        name="deliveries",
        signals=delivery_signals,
        kinds=frozenset({SignalKind.SERVING}),
        knows_past=False,
    ),
)


def ask_all(
    platform: Platform, *, now: float, monitors: Sequence[Monitor] = MONITORS
) -> dict[str, Answer]:
    """Ask every monitor. `now` is in seconds since the epoch. Nothing is raised."""
    return {one.name: ask(platform, one, now=now) for one in monitors}


def ask(platform: Platform, monitor: Monitor, *, now: float) -> Answer:
    """Return what a monitor says; where it fails, of each endpoint by itself. Nothing is raised."""
    try:
        return Answer(signals=monitor.signals(platform, now=now))
    except Exception as error:  # noqa: BLE001 - the fault of one monitor silences no other
        return _one_by_one(platform, monitor, because=words_of(error), now=now)


def words_of(error: Exception) -> str:
    """Return what went wrong, in one line."""
    if isinstance(error, ServewellError):
        return f"{error.what} ({error.why}; {error.code})"
    return f"{type(error).__name__}: {error}"


def _one_by_one(platform: Platform, monitor: Monitor, *, because: str, now: float) -> Answer:
    """Find out whose fault it is. Where it is that of every endpoint, it is none's."""
    found: dict[str, Signal] = {}
    faults: dict[str, str] = {}
    try:
        endpoints = platform.endpoints.list()
    except Exception:  # noqa: BLE001 - then nothing can be said of any
        return Answer(faults={EVERY_ENDPOINT: because})
    for endpoint in endpoints:
        try:
            signals = monitor.signals(_with_one(platform, endpoint), now=now)
        except Exception as error:  # noqa: BLE001 - the fault of one endpoint silences no other
            faults[endpoint.name] = words_of(error)
        else:
            found |= {one.key: one for one in signals}
    if len(faults) == len(endpoints):
        return Answer(faults={EVERY_ENDPOINT: because})
    return Answer(signals=tuple(found.values()), faults=faults)


def _with_one(platform: Platform, endpoint: Endpoint) -> Platform:
    return cast("Platform", _WithOne(platform, endpoint))


class _WithOne:
    """`Platform` as it is, where only one endpoint is listed."""

    def __init__(self, platform: Platform, endpoint: Endpoint) -> None:
        self._platform = platform
        self.endpoints = _One(platform.endpoints, endpoint)

    def __getattr__(self, name: str) -> object:
        return getattr(self._platform, name)


class _One:
    """`Endpoints` as they are, but for the list of them."""

    def __init__(self, endpoints: "Endpoints", endpoint: Endpoint) -> None:
        self._endpoints = endpoints
        self._endpoint = endpoint

    def list(self) -> tuple[Endpoint, ...]:
        """See `Endpoints.list`."""
        return (self._endpoint,)

    def __getattr__(self, name: str) -> object:
        return getattr(self._endpoints, name)
