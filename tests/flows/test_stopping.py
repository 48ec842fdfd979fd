"""Stopping an endpoint, and what the history says of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.operations.stopping import StopWish, decide_stop
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot
from servewell.flows.stopping import resume_endpoint, stop_endpoint, stops_of, tell_stops
from servewell.ports.endpoints import EndpointMissingError

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
