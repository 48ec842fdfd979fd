"""Emergency stops: what a worker answers while one is in force."""

import time
from collections.abc import Callable

import pytest

from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.stops import FileStops
from servewell.core.catalog.key import Role
from servewell.core.catalog.stop import StopMode, StopOrder
from serving.home import Home, Reply, flight_model, request

pytestmark = pytest.mark.enable_socket

INFER = "/v2/models/flights/infer"
WITHIN_S = 0.5


def serving(home: Home) -> tuple[str, str]:
    """Publish `blue` (factor 2, all traffic) and `green` (factor 3); return two keys.

    The first is an operator's, the second an administrator's.
    """
    operator, operating = home.key()
    administrator, administering = home.key(Role.ADMINISTRATOR)
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        home.deployment("green", flight_model(3.0), version=2, share_bp=0),
        grants=(operating, administering),
    )
    return operator, administrator


def stops(home: Home) -> FileStops:
    """Return the stops of a home."""
    return FileStops(home.folder / "stops", signer=HomeSigner(home.secrets))


def order(mode: StopMode = StopMode.REFUSE, **more: object) -> StopOrder:
    """Return an order for `flights`."""
    fixed = {"endpoint": "flights", "because": "it answers nonsense", "principal": "Ada", "at": 1.0}
    return StopOrder(mode=mode, **{**fixed, **more})  # type: ignore[arg-type]


def soon(home: Home, key: str, met: Callable[[Reply], bool]) -> tuple[Reply, float]:
    """Ask until the answer is as it should be; return it, and after how many seconds it was."""
    began = time.monotonic()
    while time.monotonic() - began < 10:
        reply = home.send("POST", INFER, key=key, body=request())
        if met(reply):
            return reply, time.monotonic() - began
        time.sleep(0.005)
    raise AssertionError(reply)


def test_a_stop_refuses_at_once_and_until_it_is_lifted(home: Home) -> None:
    """Within half a second each request gets 503, which tells no caller what was ordered, or why."""
    key, _ = serving(home)
    with home.process():
        home.wait_for_snapshot()
        assert home.send("POST", INFER, key=key, body=request()).status == 200
        stops(home).put(order())
        reply, took_s = soon(home, key, lambda one: one.status == 503)
        assert took_s < WITHIN_S
        assert reply.json["code"] == "SW-371"
        assert "retry-after" not in reply.headers
        assert b"nonsense" not in reply.body
        assert home.send("GET", "/v2/models/flights/ready", key=key).status == 503
        assert home.send("GET", "/v2/health/ready", key=key).status == 200
        stops(home).lift("flights", because="mended", principal="Ada", at=2.0)
        _, took_s = soon(home, key, lambda one: one.status == 200)
        assert took_s < WITHIN_S
    codes = {(one.status, one.code) for one in home.records()}
    assert codes == {(200, ""), (503, "SW-371")}
