"""A model that takes its time to load holds up itself alone."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.key import Role
from serving.home import Home, flight_model, request
from serving.predictors import asking, predictor

pytestmark = pytest.mark.enable_socket

LOAD_S = 4.0
SLOW = f"""
import time


class Predictor:
    def load(self, folder):
        time.sleep({LOAD_S})

    def predict(self, columns):
        return {{"y": columns["x"] * 2}}
"""
FAILING = """
import time

with open({place!r}, "a") as tried:
    tried.write(f"{{time.monotonic()}}\\n")
raise RuntimeError("not today")
"""
INFER = "/v2/models/flights/infer"


def within(seconds: float, what: Callable[[], bool]) -> None:
    """Wait until something holds, so long at most."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def stopped_and_resumed(home: Home, key: str, administrator: str) -> None:
    """Stop what still loads, and resume it."""
    stopped = home.send(
        "POST", "/endpoints/slow/stop", key=administrator, body={"because": "it is known bad"}
    )
    assert (stopped.status, stopped.json["in_force_here"]) == (200, True)
    asked = home.send("POST", "/v2/models/slow/infer", key=key, body=asking())
    assert (asked.status, asked.json["code"]) == (503, "SW-371")
    resumed = home.send("POST", "/endpoints/slow/resume", key=administrator, body={})
    assert resumed.json["carried_out"]


def test_a_revoked_key_and_a_rollback_wait_for_no_model(home: Home) -> None:
    """While a model loads, what needs none takes effect, also a stop of what it is to serve.

    The snapshot is acknowledged after it.
    """
    roles = (Role.OPERATOR, Role.OPERATOR, Role.ADMINISTRATOR)
    (key, grant), (other, other_grant), (administrator, administering) = map(home.key, roles)
    blue = home.deployment("blue", flight_model(2.0), share_bp=0)
    green = home.deployment("green", flight_model(3.0), version=2)
    flights = Endpoint(name="flights", workload="flights", deployments=(blue, green))
    slow = Endpoint(name="slow", workload="slow", deployments=(predictor(home, SLOW),))
    home.publish_endpoints((flights,), (grant, other_grant))

    def served_by() -> str | None:
        reply = home.send("POST", INFER, key=key, body=request())
        assert reply.status == 200, reply.body
        return reply.headers["servewell-deployment"]

    with home.process():
        home.wait_for_snapshot()
        before, begun = home.snapshot.version, time.monotonic()
        home.publish_endpoints((flights, slow), (grant, other_grant))
        within(1.0, lambda: _starting(home))
        home.publish_endpoints((flights, slow), (grant,))
        within(1.0, lambda: home.send("POST", INFER, key=other, body=request()).status == 401)
        assert served_by() == "green"
        home.publish_endpoints(
            (
                replace(
                    flights,
                    deployments=(replace(blue, share_bp=BP_FULL), replace(green, share_bp=0)),
                ),
                slow,
            ),
            (grant, administering),
        )
        within(1.0, lambda: served_by() == "blue")
        stopped_and_resumed(home, key, administrator)
        report = home.report()
        assert report is not None
        assert (report.snapshot, report.ready, report.fault) == (before, True, "")
        assert home.send("GET", "/v2/health/ready", key=key).status == 200
        assert time.monotonic() - begun < LOAD_S  # or this has shown nothing
        assert home.wait_for_snapshot().ready
        assert home.send("POST", "/v2/models/slow/infer", key=key, body=asking()).status == 200
        assert home.send("POST", INFER, key=other, body=request()).status == 401


def test_what_fails_to_load_is_tried_again_less_and_less_often(home: Home) -> None:
    """The time between two attempts grows, and meanwhile the rest is served."""
    key, grant = home.key()
    place = home.folder / "tried"
    place.touch()
    flights = Endpoint(
        name="flights", workload="flights", deployments=(home.deployment("b", flight_model(2.0)),)
    )
    deployments = (predictor(home, FAILING.format(place=str(place))),)
    failing = Endpoint(name="code", workload="code", deployments=deployments)
    home.publish_endpoints((flights, failing), (grant,))
    with home.process():
        within(20.0, lambda: len(place.read_text().splitlines()) == 4)
        assert home.send("POST", INFER, key=key, body=request()).status == 200
    times = [float(one) for one in place.read_text().splitlines()]
    first, second, third = (after - before for before, after in pairwise(times))
    assert 1.0 <= first < second < third


def _starting(home: Home) -> bool:
    """Whether the process of a predictor is there."""
    return any((home.folder / "run" / "predictors").glob("*"))
