"""Homes with workers: real processes, models and HTTP on 127.0.0.1."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.key import Role
from serving.home import Home, Reply, flight_model, request


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A home with one worker that serves `blue` (factor 2, all traffic) and `green` (factor 3)."""

    home: Home
    operator: str
    invoker: str  # of `flights` alone
    reader: str
    stranger: str  # an invoker of another endpoint
    expired: str

    def infer(self, body: dict[str, object] | bytes | None = None, **headers: str) -> Reply:
        """Send one inference request as the operator."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = "/v2/models/flights/infer"
        content = request() if body is None else body
        return self.home.send("POST", path, key=self.operator, body=content, headers=named)


@pytest.fixture
def home(tmp_path: Path, socket_enabled: None) -> Iterator[Home]:
    """An empty home."""
    del socket_enabled
    made = Home(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = Home(tmp_path_factory.mktemp("home"))
    operator, operating = home.key()
    invoker, invoking = home.key(Role.INVOKER, endpoints=("flights",))
    reader, reading = home.key(Role.READER)
    stranger, estranged = home.key(Role.INVOKER, endpoints=("other", "flights-2"))
    expired, expiring = home.key(expires_at=1.0)
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        home.deployment("green", flight_model(3.0), version=2, share_bp=0),
        policy=EndpointPolicy(body_bytes_max=200_000, rows_max=5_000),
        grants=(operating, invoking, reading, estranged, expiring),
    )
    with home.process():
        home.wait_for_snapshot()
        yield Running(
            home=home,
            operator=operator,
            invoker=invoker,
            reader=reader,
            stranger=stranger,
            expired=expired,
        )
    home.close()


@pytest.fixture
def running(socket_enabled: None, _running: Running) -> Running:
    """The home that the tests share, and do not change."""
    del socket_enabled
    return _running
