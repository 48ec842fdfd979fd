"""Say whether what is served is healthy, from everything that is known of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.health import Health
from servewell.core.catalog.series import HOUR_S
from servewell.core.catalog.series_names import REFUSED, REQUESTS, WORKERS, of_endpoint
from servewell.core.catalog.stop import StopOrder
from servewell.core.reliability.health import HealthFacts, decide_health
from servewell.errors import ServewellError
from servewell.flows.monitoring.monitors import EVERY_ENDPOINT, Answers, ask_all, words_of
from servewell.flows.platform import Platform

WINDOW_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What is known of the home, whichever endpoint is asked of."""

    answers: Answers
    stops: tuple[StopOrder, ...]
    faults: tuple[str, ...]
    running: bool
    looked_at: float | None  # seconds since the epoch, UTC


def health_of(platform: Platform, endpoint: str, *, now: float) -> Health:
    """Return the state of one endpoint, with the reasons. `now` is in seconds (epoch).

    Raises: EndpointMissingError, StateUnavailableError.
    """
    platform.endpoints.get(endpoint)
    return next(one for one in health(platform, now=now) if one.endpoint == endpoint)


def health(platform: Platform, *, now: float, answers: Answers | None = None) -> tuple[Health, ...]:
    """Return the state of every endpoint, by name. `now` is in seconds (epoch).

    Whoever has asked the monitors gives their `answers`; else they are asked.

    Raises: StateUnavailableError.
    """
    home = _home(platform, ask_all(platform, now=now) if answers is None else answers)
    return tuple(
        decide_health(_facts(platform, one, home, now=now)) for one in platform.endpoints.list()
    )


def _home(platform: Platform, answers: Answers) -> Home:
    """Look at the home; what cannot be looked at is unknown, and the rest speaks."""
    stops: tuple[StopOrder, ...] = ()
    faults: tuple[str, ...] = ()
    try:
        stops = platform.stops.current()
    except ServewellError as error:
        faults = (f"The look at emergency stops failed: {error.what}",)
    state = platform.fleet.state()
    return Home(
        answers=answers,
        stops=stops,
        faults=faults,
        running=state.supervisor is not None or bool(state.workers),
        looked_at=platform.series.newest(WORKERS).get(WORKERS),
    )


def _facts(platform: Platform, endpoint: Endpoint, home: Home, *, now: float) -> HealthFacts:
    faults = [*home.faults, *_unsaid(home.answers, endpoint.name)]
    requests, refused, measured_until = 0.0, 0.0, None
    try:
        requests = _of_the_hour(platform, endpoint.name, REQUESTS, now=now)
        refused = _of_the_hour(platform, endpoint.name, REFUSED, now=now)
        measured_until = _measured_until(platform, endpoint.name)
    except Exception as error:  # noqa: BLE001 - the fault of one endpoint is no other's
        faults.append(f"The look at its requests failed: {words_of(error)}")
    return HealthFacts(
        endpoint=endpoint.name,
        at=now,
        signals=tuple(
            signal
            for answer in home.answers.values()
            for signal in answer.signals
            if signal.endpoint in ("", endpoint.name)
        ),
        stops=home.stops,
        deployed=bool(endpoint.traffic),
        running=home.running,
        requests=requests,
        refused=refused,
        measured_until=measured_until,
        looked_at=home.looked_at,
        faults=tuple(faults),
    )


def _unsaid(answers: Answers, endpoint: str) -> Iterator[str]:
    """Yield what no monitor could say of an endpoint."""
    for name, answer in answers.items():
        for whose in (EVERY_ENDPOINT, endpoint):
            if whose in answer.faults:
                yield f"The monitor of {name} failed: {answer.faults[whose]}"


def _of_the_hour(platform: Platform, endpoint: str, metric: str, *, now: float) -> float:
    found = platform.series.read(
        of_endpoint(endpoint, metric), since=now - HOUR_S, until=now, step=WINDOW_S
    )
    return sum(one.total for one in found)


def _measured_until(platform: Platform, endpoint: str) -> float | None:
    name = of_endpoint(endpoint, REQUESTS)
    newest = platform.series.newest(name).get(name)
    return None if newest is None else float(newest + WINDOW_S)
