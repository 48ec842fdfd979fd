"""Stopping an endpoint, and what the history says of it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from flows.rollout_world import NOON, World
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.stop import EVERY, StopOrder
from servewell.core.operations.stopping import (
    StopInvalidError,
    StopWish,
    decide_stop,
    stops_digest,
)
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot
from servewell.flows.stopping import resume_endpoint, stop_endpoint, stops_of, tell_stops
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.snapshots import WorkerReport

WISH = StopWish(because="it harms somebody", principal="Ada", at=1.0)


def kinds(platform: Platform) -> list[ChangeKind]:
    """Return what the history says was done."""
    return [one.kind for one in platform.history.changes("flights")][1:]


def test_a_stop_is_told_at_once_where_there_is_a_database(
    platform: Platform, endpoint: Endpoint
) -> None:
    """Who, when, why and what stand in the history; a dry run leaves nothing."""
    publish_snapshot(platform)
    dry = stop_endpoint(platform, endpoint.name, because="it harms somebody", dry_run=True)
    assert (dry.carried_out, stops_of(platform), kinds(platform)) == (False, (), [])
    done = stop_endpoint(platform, endpoint.name, because="it harms somebody")
    assert (done.carried_out, done.in_history) == (True, True)
    assert stops_of(platform, "flights") == (done.order,)
    assert stops_of(platform, "other") == ()
    assert resume_endpoint(platform, endpoint.name, because="mended", dry_run=True).order is None
    assert resume_endpoint(platform, endpoint.name, because="mended").carried_out
    assert not resume_endpoint(platform, endpoint.name).carried_out
    assert kinds(platform) == [ChangeKind.STOPPED, ChangeKind.RESUMED]
    change = platform.history.changes("flights")[1]
    assert change.because == "it harms somebody: stopped: every request is refused"
    assert change.principal == platform.principal
    with pytest.raises(EndpointMissingError):
        stop_endpoint(platform, "other", because="x")


def test_workers_that_do_not_obey_are_named(platform: Platform, endpoint: Endpoint) -> None:
    """A worker obeys where it says so of these very stops; none is needed where none is alive."""
    publish_snapshot(platform)
    world = World(platform)

    def obeys(*orders: StopOrder) -> None:
        digest = stops_digest(orders)
        report = WorkerReport(
            worker=0, pid=os.getpid(), snapshot=1, ready=True, fault="", at=0.0, stops=digest
        )
        platform.snapshots.report(report)

    done = stop_endpoint(world, endpoint.name, because="it harms somebody")
    assert (done.workers, done.behind, done.holds) == (1, (0,), False)
    assert world.clock.at - NOON < 1.1
    obeys()
    done = resume_endpoint(world, endpoint.name)
    assert (done.behind, done.holds) == ((), True)
    world.fleet.alive = False
    assert stop_endpoint(world, endpoint.name, because="it harms somebody").holds


def test_a_reason_that_is_no_text_is_refused(platform: Platform, endpoint: Endpoint) -> None:
    """Whoever stops or resumes is told so, and nothing is changed."""
    publish_snapshot(platform)
    with pytest.raises(StopInvalidError):
        stop_endpoint(platform, endpoint.name, because="\udcff")
    stop_endpoint(platform, endpoint.name, because="it harms somebody")
    with pytest.raises(StopInvalidError):
        resume_endpoint(platform, endpoint.name, because="\udcff")
    assert len(stops_of(platform)) == 1


def test_after_a_damage_everything_is_stopped_until_that_is_lifted(
    platform: Platform, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Whoever lifts the stop of one endpoint hears that the others', and so its own, holds on."""
    publish_snapshot(platform)
    stop_endpoint(platform, endpoint.name, because="it harms somebody")
    (tmp_path / "home" / "stops" / "orders").write_bytes(b"")
    done = stop_endpoint(platform, endpoint.name, because="it harms somebody")
    assert done.others is not None
    assert "damaged" in done.others.because
    lifted = resume_endpoint(platform, endpoint.name)
    assert lifted.others == done.others
    assert stops_of(platform, endpoint.name) == (done.others,)
    assert resume_endpoint(platform, EVERY).others is None
    assert stops_of(platform) == ()


def test_what_was_told_is_not_told_again_after_a_kill(
    platform: Platform, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Killed between the history and the note, the next one finds the line and adds none."""
    publish_snapshot(platform)
    place = tmp_path / "home" / "stops" / "orders"
    order = decide_stop(endpoint, WISH, None)
    platform.stops.put(order)
    untold = place.read_bytes()
    tell_stops(platform)
    place.write_bytes(untold)
    tell_stops(platform)
    assert kinds(platform) == [ChangeKind.STOPPED]
    platform.stops.put(replace(order, at=order.at + 1))
    tell_stops(platform)
    assert kinds(platform) == [ChangeKind.STOPPED] * 2
    assert platform.stops.untold() == ()
