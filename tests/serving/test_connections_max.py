"""A full worker: it keeps the descriptors that records need, and serves who uses its line."""

import resource
import socket
import time

import pytest

from servewell.serving.reception import DESCRIPTORS_KEPT, room_for
from serving.home import Home
from serving.real_worker import real_worker
from serving.test_drain import Site, made_site

pytestmark = pytest.mark.enable_socket

READY = "/v2/health/ready"
WITHIN_S = 15.0


def test_a_full_worker_closes_who_is_silent_and_turns_away_where_nobody_is(home: Home) -> None:
    """While all lines are in use a new one gets 503; one that is silent goes for a new one."""
    site = made_site(home, encrypted=False)
    with real_worker(home, connections_max=2), site.line() as first, site.line() as second:
        ask, rest = site.get(READY)[:10], site.get(READY)[10:]
        for line in (first, second):  # half a head: neither is silent
            line.sendall(ask)
        status, headers = answer_on_new_line(site)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert site.answer(first, rest)[0] == 200
        second.sendall(rest[:1])
        ends = time.monotonic() + WITHIN_S
        while answer_on_new_line(site)[0] != 200:  # the first has to be silent for a second
            assert time.monotonic() < ends
        assert first.recv(1) == b""
        assert site.answer(second, rest[1:])[0] == 200
        page = page_of(second, site.get("/metrics"))
    assert 'servewell_connections_crowded_total{outcome="closed"} 1\n' in page
    refused = page.partition('servewell_connections_crowded_total{outcome="refused"} ')[2]
    assert int(refused.split("\n")[0]) >= 1


def test_who_was_silent_longest_goes_first(home: Home) -> None:
    """Of two that are silent the one that spoke last stays."""
    site = made_site(home, encrypted=False)
    with real_worker(home, connections_max=2), site.line() as first, site.line() as second:
        assert site.answer(first, site.get(READY))[0] == 200
        ends = time.monotonic() + 2.5
        while time.monotonic() < ends:
            assert site.answer(second, site.get(READY))[0] == 200
            time.sleep(0.1)
        time.sleep(1.5)  # silence is a matter of time
        assert answer_on_new_line(site)[0] == 200
        assert first.recv(1) == b""
        assert site.answer(second, site.get(READY))[0] == 200


def test_strangers_who_say_nothing_keep_no_caller_of_tls_out(home: Home) -> None:
    """Lines that never shake hands hold two descriptors each, and go for one that does."""
    site = made_site(home, encrypted=True)
    with real_worker(home, tls=site.tls, connections_max=5):
        strangers = [socket.create_connection(("127.0.0.1", home.port)) for _ in range(8)]
        ends = time.monotonic() + WITHIN_S
        while (status := status_over_tls(site)) != 200:
            assert time.monotonic() < ends
        assert status == 200
        for one in strangers:
            one.close()


def test_records_keep_their_descriptors() -> None:
    """No worker holds as many connections as it may open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert room_for(1) == 1
    assert files == resource.RLIM_INFINITY or room_for(1 << 40) == files - DESCRIPTORS_KEPT


def answer_on_new_line(site: Site) -> tuple[int, dict[str, str]]:
    """Return what a newcomer is told."""
    with site.line() as line:
        return site.answer(line, site.get(READY))


def status_over_tls(site: Site) -> int:
    """Return the status that a newcomer gets; 0 where it is turned away."""
    try:
        return answer_on_new_line(site)[0]
    except (OSError, AssertionError):
        return 0


def page_of(line: socket.socket, request: bytes) -> str:
    """Return the page that a request is answered with."""
    line.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got:
        got += line.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < size:
        body += line.recv(65_536)
    return body.decode()
