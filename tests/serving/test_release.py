"""Change while serving: traffic, pins, snapshots that cannot be used, and the end of a worker."""

import base64
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.model import digest_of
from servewell.serving.counters import read_counters
from serving.conftest import Running
from serving.home import Home, Reply, flight_model, request

INFER = "/v2/models/flights/infer"
READY = "/v2/health/ready"


def late(reply: Reply) -> float:
    """Return the number that tells which model answered: 14 for factor 2, 16 for factor 3."""
    assert reply.status == 200, reply
    return float(reply.json["outputs"][0]["data"][0])


def test_a_header_pins_a_deployment(running: Running) -> None:
    """`servewell-deployment` chooses one, also with no share; an unknown one names the others."""
    reply = running.infer(servewell_deployment="green")
    assert late(reply) == 16.0
    assert reply.headers["servewell-deployment"] == "green"
    unknown = running.infer(servewell_deployment="red")
    assert (unknown.status, unknown.json["code"]) == (404, "SW-310")
    assert "`blue`, `green`" in unknown.json["error"]
    path = "/v2/models/flights/versions/1/infer"
    pin = {"servewell-deployment": "green"}
    both = running.home.send("POST", path, key=running.operator, body=request(), headers=pin)
    assert both.status == 404


def test_a_header_pins_the_metadata_too(running: Running) -> None:
    """What a deployment takes is asked of the deployment that will be sent to."""
    path = "/v2/models/flights"
    for name, status in (("green", 200), ("red", 404)):
        pin = {"servewell-deployment": name}
        reply = running.home.send("GET", path, key=running.operator, headers=pin)
        assert reply.status == status


def two(home: Home, share_bp: int) -> tuple[Deployment, Deployment]:
    """Return two deployments that share the traffic."""
    return (
        home.deployment("blue", flight_model(2.0), share_bp=BP_FULL - share_bp),
        home.deployment("green", flight_model(3.0), version=2, share_bp=share_bp),
    )


def test_traffic_is_split_and_rolled_back_without_a_lost_request(home: Home) -> None:
    """Requests go out by share; a new split takes effect in under a second, and none is dropped."""
    key, grant = home.key()
    home.publish(*two(home, 3_000), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        answers = [late(home.send("POST", INFER, key=key, body=request())) for _ in range(600)]
        counted = Counter(answers)
        assert 120 <= counted[16.0] <= 240  # 180 expected, standard deviation 11
        seen: list[float] = []
        stop = threading.Event()

        def call() -> None:
            while not stop.is_set():
                seen.append(late(home.send("POST", INFER, key=key, body=request())))

        callers = [threading.Thread(target=call) for _ in range(3)]
        for one in callers:
            one.start()
        started = time.monotonic()
        home.publish(*two(home, 0))
        home.wait_for_snapshot()
        assert time.monotonic() - started < 1.0
        stop.set()
        for one in callers:
            one.join()
        after = [late(home.send("POST", INFER, key=key, body=request())) for _ in range(30)]
        assert after == [14.0] * 30
        assert seen


def test_a_change_of_traffic_loads_no_model(home: Home) -> None:
    """A model that is loaded stays when only the shares change, even when its file is gone."""
    key, grant = home.key()
    blue, green = two(home, 0)
    home.publish(blue, green, grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        for path in (home.folder / "blobs").rglob("*"):
            if path.is_file():
                path.unlink()
        home.publish(replace(blue, share_bp=0), replace(green, share_bp=BP_FULL))
        report = home.wait_for_snapshot()
        assert (report.ready, report.fault) == (True, "")
        assert late(home.send("POST", INFER, key=key, body=request())) == 16.0


def test_a_corrupt_snapshot_changes_nothing(home: Home) -> None:
    """A worker that serves goes on with what it has and says why; a whole snapshot ends that."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        current = home.folder / "snapshot" / "current"
        current.write_bytes(current.read_bytes()[:-5])
        report = home.wait_for_snapshot(fault=True)
        assert (report.snapshot, report.ready) == (1, True)
        assert "checksum" in report.fault
        assert late(home.send("POST", INFER, key=key, body=request())) == 14.0
        home.publish(home.deployment("blue", flight_model(3.0)))
        assert home.wait_for_snapshot().fault == ""
        assert late(home.send("POST", INFER, key=key, body=request())) == 16.0


def test_a_worker_starts_from_the_previous_snapshot(home: Home) -> None:
    """With a corrupt current snapshot a new worker serves from the one before it."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    home.publish()
    (home.folder / "snapshot" / "current").write_bytes(b"servewell-snapshot 1 no no\n{}")
    with home.process():
        report = home.wait_for_snapshot(fault=True)
        assert (report.snapshot, report.ready) == (1, True)
        assert late(home.send("POST", INFER, key=key, body=request())) == 14.0


def forged(home: Home, deployment: Deployment) -> Deployment:
    """Return a deployment whose package was signed by somebody else."""
    del home
    return replace(deployment, package_signature=base64.b64encode(b"x" * 64).decode())


def lost(home: Home, deployment: Deployment) -> Deployment:
    """Return a deployment whose package is not there."""
    del home
    return replace(deployment, package=digest_of(b"nothing"))


def broken(home: Home, deployment: Deployment) -> Deployment:
    """Return a deployment whose model file is no ONNX."""
    made = home.deployment("green", b"no onnx", version=2, share_bp=deployment.share_bp)
    return replace(deployment, package=made.package, package_signature=made.package_signature)


def tampered(home: Home, deployment: Deployment) -> Deployment:
    """Return a deployment whose model file was changed on disk."""
    digest = digest_of(flight_model(4.0))
    made = home.deployment("green", flight_model(4.0), version=2, share_bp=deployment.share_bp)
    path = home.folder / "blobs" / digest[:2] / digest
    path.chmod(0o644)
    path.write_bytes(flight_model(5.0))
    return replace(deployment, package=made.package, package_signature=made.package_signature)


@pytest.mark.parametrize("spoil", [forged, lost, broken, tampered])
def test_a_package_that_cannot_be_trusted_is_not_served(
    home: Home, spoil: Callable[[Home, Deployment], Deployment]
) -> None:
    """The endpoint stays as it was, the fault is reported, and a revoked key is still refused."""
    key, grant = home.key()
    other, other_grant = home.key()
    blue, green = two(home, BP_FULL)
    home.publish(replace(blue, share_bp=BP_FULL), grants=(grant, other_grant))
    with home.process():
        home.wait_for_snapshot()
        home.publish(blue, spoil(home, green), grants=(grant,))
        report = home.wait_for_snapshot(fault=True)
        assert (report.snapshot, report.ready) == (1, True)
        assert "`green` (flights:2) cannot be served" in report.fault
        assert late(home.send("POST", INFER, key=key, body=request())) == 14.0
        assert home.send("POST", INFER, key=other, body=request()).status == 401
        home.publish(blue, green)
        assert home.wait_for_snapshot().fault == ""
        assert late(home.send("POST", INFER, key=key, body=request())) == 16.0


@pytest.mark.parametrize("spoil", [forged, lost, broken])
def test_a_standby_that_cannot_be_loaded_delays_no_acknowledgement(
    home: Home, spoil: Callable[[Home, Deployment], Deployment]
) -> None:
    """A deployment without traffic may fail: the rest of the snapshot is served and said so."""
    key, grant = home.key()
    blue, green = two(home, 0)
    home.publish(blue, grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        home.publish(blue, spoil(home, green))
        report = home.wait_for_snapshot()
        assert report.ready
        assert "`green` (flights:2) cannot be served" in report.fault
        other, other_grant = home.key()
        home.publish(grants=(other_grant,))
        assert home.wait_for_snapshot().ready
        assert late(home.send("POST", INFER, key=other, body=request())) == 14.0
        assert home.send("POST", INFER, key=key, body=request()).status == 401


@pytest.mark.parametrize("served_before", [True, False])
def test_a_snapshot_that_cannot_be_verified_yet_is_tried_again(
    home: Home, *, served_before: bool
) -> None:
    """Whatever stands in the way is reported; the worker lives, and serves when it is gone."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    home.publish(home.deployment("blue", flight_model(3.0)))
    signing = home.folder / "keys" / "signing"
    if not served_before:
        _replace_by_folder(signing)
    with home.process() as process:
        if served_before:
            home.wait_for_snapshot()
            _replace_by_folder(signing)
            (home.folder / "snapshot" / "current").touch()
        report = home.wait_for_snapshot(fault=True)
        assert report.ready == served_before
        status = home.send("POST", INFER, key=key, body=request()).status
        assert status == (200 if served_before else 401)
        assert process.poll() is None
        signing.rmdir()
        signing.with_name("aside").rename(signing)
        for _ in range(1_000):
            report = home.wait_for_snapshot()
            if not report.fault:
                break
            time.sleep(0.02)
        assert (report.ready, report.fault) == (True, "")
        assert late(home.send("POST", INFER, key=key, body=request())) == 16.0


def _replace_by_folder(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.mkdir()


def test_the_rest_serves_where_there_is_nothing_older(home: Home) -> None:
    """At the first start what cannot be loaded is left out; others take its traffic."""
    key, grant = home.key()
    blue, green = two(home, 5_000)
    endpoints = (
        Endpoint(name="flights", workload="w", deployments=(blue, forged(home, green))),
        Endpoint(name="alone", workload="w", deployments=(forged(home, blue),)),
    )
    home.publish_endpoints(endpoints, (grant,))
    with home.process():
        report = home.wait_for_snapshot(fault=True)
        assert (report.snapshot, report.ready) == (1, False)
        answers = {late(home.send("POST", INFER, key=key, body=request())) for _ in range(20)}
        assert answers == {14.0}
        reply = home.send("POST", "/v2/models/alone/infer", key=key, body=request())
        assert (reply.status, reply.json["code"]) == (503, "SW-315")
        assert "retry-after" in reply.headers
        for path in (READY, "/v2/models/alone/ready"):
            assert home.send("GET", path, key=key).status == 503
        assert home.send("GET", "/v2/models/flights/ready", key=key).status == 200


def test_a_worker_without_a_snapshot_waits_for_one(home: Home) -> None:
    """It lives, trusts nobody, and serves when there is something to serve."""
    key, grant = home.key()
    with home.process():
        _wait_alive(home)
        assert home.send("GET", READY, key=key).status == 401
        home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
        home.wait_for_snapshot()
        assert home.send("GET", READY, key=key).status == 200


def test_a_drain_under_load_drops_no_request(home: Home) -> None:
    """Of two workers one is stopped while callers keep their connections: all are answered."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    with home.process(0) as first, home.process(1):
        for index in (0, 1):
            home.wait_for_snapshot(index=index)
        stop = threading.Event()
        outcomes: list[Counter[str]] = []
        callers = [
            threading.Thread(target=lambda: outcomes.append(keep_calling(home.port, key, stop)))
            for _ in range(16)  # the kernel shares connections out by chance
        ]
        for one in callers:
            one.start()
        _wait_counted(home, 200)
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=10) == 0
        stop.set()
        for one in callers:
            one.join()
    total: Counter[str] = sum(outcomes, Counter())
    assert set(total) <= {"answered", "reconnected"}
    assert total["reconnected"] > 0
    recorded = [one for one in home.records() if one.status == 200]
    assert len(recorded) == total["answered"]


def test_a_drain_answers_what_is_on_its_way(home: Home) -> None:
    """A request that was begun before SIGTERM is answered after it, and the worker ends with 0."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    body = json.dumps(request()).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with home.process() as process:
        home.wait_for_snapshot()
        with socket.create_connection(("127.0.0.1", home.port)) as line:
            line.sendall(head.encode() + body[:20])
            _wait_connections(home)
            process.send_signal(signal.SIGTERM)
            _wait_draining(home)
            line.sendall(body[20:])
            answer = b""
            while piece := line.recv(65_536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in answer
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("count", [8, 32])
def test_connections_spread_over_the_workers(home: Home, count: int) -> None:
    """Few connections and many are shared by two workers, so that neither idles."""
    with home.process(0), home.process(1):
        for index in (0, 1):
            _wait_report(home, index)
        lines = [socket.create_connection(("127.0.0.1", home.port)) for _ in range(count)]
        for line in lines:
            line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.recv(65_536).startswith(b"HTTP/1.1 200")
        held = [
            read_counters(home.folder / "run" / f"counters-{index}")["servewell_connections"]
            for index in (0, 1)
        ]
        for line in lines:
            line.close()
    assert sum(held) == count
    assert min(held) >= count // 8


def _wait_report(home: Home, index: int) -> None:
    for _ in range(500):
        if home.report(index):
            return
        time.sleep(0.01)
    raise AssertionError("the worker does not start")


def keep_calling(port: int, key: str, stop: threading.Event) -> Counter[str]:
    """Send one request after another on one connection; return what became of them."""
    seen: Counter[str] = Counter()
    body = json.dumps(request()).encode()
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    while not stop.is_set():
        line.sendall(head.encode() + body)
        answer = line.recv(65_536)
        seen["answered" if answer.startswith(b"HTTP/1.1 200") else repr(answer)] += 1
        if b"connection: close" in answer:
            line.close()
            line = socket.create_connection(("127.0.0.1", port), timeout=10)
            seen["reconnected"] += 1
    line.close()
    return seen


def _wait_alive(home: Home) -> None:
    home.send("GET", "/v2/health/live")


def _wait_counted(home: Home, count: int) -> None:
    for _ in range(500):
        if len(home.records(torn=True)) >= count:
            return
        time.sleep(0.01)
    raise AssertionError("the callers make no progress")


def _wait_connections(home: Home) -> None:
    home.send("GET", "/v2/health/live")  # accepted after the line of the test


def _wait_draining(home: Home) -> None:
    for _ in range(500):
        report = home.report()
        if report and not report.ready:
            return
        time.sleep(0.01)
    raise AssertionError("the worker does not drain")
