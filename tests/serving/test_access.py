"""Who may call, and that nothing else is told."""

import time
from base64 import b64encode

import pytest

from servewell.core.catalog.key import Role
from serving.conftest import Running
from serving.home import Home, flight_model, request

INFER = "/v2/models/flights/infer"


def test_liveness_alone_is_anonymous(running: Running) -> None:
    """`GET /v2/health/live` needs no key; everything else does, also what does not exist."""
    assert running.home.send("GET", "/v2/health/live").status == 200
    for path in ("/", "/v2", "/v2/health/ready", "/metrics", "/v2/models/flights", "/nothing"):
        reply = running.home.send("GET", path)
        assert (reply.status, reply.json["code"]) == (401, "SW-306"), path
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert running.home.send("POST", INFER, body=request()).status == 401


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Basic c2VydmU6d2VsbA=="},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer sw_nonsense"},
        {"Authorization": "Bearer \u00fc"},
        {"X-API-Key": ""},
        {"X-API-Key": "sw_" + "0" * 11 + "_" + "0" * 49},
    ],
)
def test_what_is_no_key_is_refused(running: Running, header: dict[str, str]) -> None:
    """Other schemes, mistyped and unknown keys get the same 401."""
    reply = running.home.send("POST", INFER, body=request(), headers=header)
    assert (reply.status, reply.json["code"]) == (401, "SW-306")


def test_a_key_of_another_pepper_is_refused(running: Running) -> None:
    """A well-formed key whose id is known and whose secret is wrong does not pass."""
    home = running.home
    forged, _ = home.key()
    for key in (forged, running.operator[:-1] + ("0" if running.operator[-1] != "0" else "1")):
        assert home.send("GET", "/v2", key=key).status == 401


def test_an_expired_key_is_refused(running: Running) -> None:
    """Past its time a key gets a 401 that says so."""
    reply = running.home.send("GET", "/v2", key=running.expired)
    assert (reply.status, reply.json["code"]) == (401, "SW-307")


def test_either_header_carries_a_key(running: Running) -> None:
    """`X-API-Key` and the password of `Basic` do as well as `Bearer`, its name in any case."""
    for headers in (
        {"X-API-Key": running.operator},
        {"Authorization": f"bearer {running.operator}"},
        {"Authorization": "Basic " + b64encode(f"any:{running.operator}".encode()).decode()},
        {"Authorization": f"BEARER {running.operator}"},
    ):
        reply = running.home.send("POST", INFER, body=request(), headers=headers)
        assert reply.status == 200


def test_roles_bound_what_a_key_may_do(running: Running) -> None:
    """A reader reads, an invoker also predicts, and only an operator of all sees the metrics."""
    rights = {
        running.reader: (200, 200, 403, 403),
        running.invoker: (200, 200, 200, 403),
        running.operator: (200, 200, 200, 200),
    }
    for key, expected in rights.items():
        found = (
            running.home.send("GET", "/v2/health/ready", key=key).status,
            running.home.send("GET", "/v2/models/flights", key=key).status,
            running.home.send("POST", INFER, key=key, body=request()).status,
            running.home.send("GET", "/metrics", key=key).status,
        )
        assert found == expected


def test_a_403_does_not_tell_what_exists(running: Running) -> None:
    """A key without the right gets the same answer for an endpoint that exists and one not."""
    home, key = running.home, running.stranger
    there = home.send("POST", INFER, key=key, body=request())
    nowhere = home.send("POST", "/v2/models/nowhere/infer", key=key, body=request())
    assert there.status == nowhere.status == 403
    assert there.body == nowhere.body
    for reply in (there, nowhere):
        del reply.headers["servewell-prediction-id"]
        del reply.headers["date"]
    assert there.headers == nowhere.headers
    known = home.send("POST", "/v2/models/nowhere/infer", key=running.operator, body=request())
    assert (known.status, known.json["code"]) == (404, "SW-309")


def test_keys_come_and_go_without_a_restart(home: Home) -> None:
    """A key works as soon as the snapshot has it, and stops when it has not; models stay."""
    first, first_grant = home.key()
    second, second_grant = home.key(Role.INVOKER, endpoints=("flights",))
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(first_grant,))
    with home.process() as process:
        home.wait_for_snapshot()
        assert _status(home, first, second) == (200, 401)
        home.publish(grants=(first_grant, second_grant))
        home.wait_for_snapshot()
        assert _status(home, first, second) == (200, 200)
        home.publish(grants=(second_grant,))
        started = time.monotonic()
        home.wait_for_snapshot()
        assert time.monotonic() - started < 2
        assert _status(home, first, second) == (401, 200)
        assert process.poll() is None


def _status(home: Home, *keys: str) -> tuple[int, ...]:
    return tuple(home.send("POST", INFER, key=key, body=request()).status for key in keys)
