"""Say whether what is served is healthy, from everything that is known of it."""

from dataclasses import dataclass, field
from typing import Final

from servewell.core.catalog.health import Health
from servewell.core.catalog.series import HOUR_S
from servewell.core.catalog.series_names import REQUESTS, WORKERS, of_endpoint
from servewell.core.catalog.signal import Signal
from servewell.core.catalog.stop import StopOrder
from servewell.core.reliability.health import HealthFacts, decide_health
from servewell.errors import ServewellError
from servewell.flows.monitoring.watch import MONITORS
from servewell.flows.platform import Platform

WINDOW_S: Final = 60


@dataclass(slots=True, kw_only=True)
class Looked:
    """What every monitor says, and which of them could not look."""

    signals: list[Signal] = field(default_factory=list)
    stops: tuple[StopOrder, ...] = ()
    faults: list[str] = field(default_factory=list)


def health_of(platform: Platform, endpoint: str, *, now: float) -> Health:
    """Return the state of one endpoint, with the reasons. `now` is in seconds (epoch).

    Raises: EndpointMissingError, StateUnavailableError.
    """
    platform.endpoints.get(endpoint)
    return next(one for one in health(platform, now=now) if one.endpoint == endpoint)


def health(platform: Platform, *, now: float) -> tuple[Health, ...]:
    """Return the state of every endpoint, by name. `now` is in seconds (epoch).

    Raises: StateUnavailableError.
    """
    looked = _look(platform, now=now)
    state = platform.fleet.state()
    at = platform.series.newest(WORKERS).get(WORKERS)
    return tuple(
        decide_health(
            HealthFacts(
                endpoint=one.name,
                at=now,
                signals=tuple(
                    signal for signal in looked.signals if signal.endpoint in ("", one.name)
                ),
                stops=looked.stops,
                deployed=bool(one.traffic),
                running=state.supervisor is not None or bool(state.workers),
                requests=_requests(platform, one.name, now=now),
                measured_until=_measured_until(platform, one.name),
                looked_at=at,
                faults=tuple(looked.faults),
            )
        )
        for one in platform.endpoints.list()
    )


def _look(platform: Platform, *, now: float) -> Looked:
    """Ask every monitor; one that fails leaves its part unknown, and the others speak."""
    looked = Looked()
    for monitor in MONITORS:
        try:
            looked.signals += monitor.signals(platform, now=now)
        except (ServewellError, OSError) as error:
            looked.faults.append(_unseen(f"monitor of {monitor.name}", error))
    try:
        looked.stops = platform.stops.current()
    except ServewellError as error:
        looked.faults.append(_unseen("look at emergency stops", error))
    return looked


def _unseen(who: str, error: Exception) -> str:
    return f"The {who} failed: {getattr(error, 'what', error)}"


def _requests(platform: Platform, endpoint: str, *, now: float) -> float:
    found = platform.series.read(
        of_endpoint(endpoint, REQUESTS), since=now - HOUR_S, until=now, step=WINDOW_S
    )
    return sum(one.total for one in found)


def _measured_until(platform: Platform, endpoint: str) -> float | None:
    name = of_endpoint(endpoint, REQUESTS)
    newest = platform.series.newest(name).get(name)
    return None if newest is None else float(newest + WINDOW_S)
