"""Loading and unloading an endpoint, by a person and for who asked a worker."""

import pytest

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.flows.loading import run_errands, set_loaded
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.errands import Errand, Report


def _errand(platform: Platform, endpoint: str, *, loaded: bool) -> Errand:
    return Errand(
        id="one",
        endpoint=endpoint,
        loaded=loaded,
        principal="caller-7",
        until=platform.clock.now() + 60,
    )


def test_unloading_is_kept_published_and_explained(platform: Platform, endpoint: Endpoint) -> None:
    """The state, the snapshot and the history agree; the traffic is what it was."""
    deploy(platform, endpoint.name, model="flights", number=1)
    done = set_loaded(platform, "flights", loaded=False, because="winter")
    snapshot = platform.snapshots.current()
    change = platform.history.changes("flights")[-1]
    assert done.carried_out
    assert snapshot is not None
    assert not snapshot.endpoints[0].loaded
    assert platform.endpoints.get("flights").traffic == {"v1": BP_FULL}
    assert change.kind is ChangeKind.UNLOADED
    assert change.because.startswith("winter: ")
    assert change.principal == platform.principal
    assert set_loaded(platform, "flights", loaded=True).carried_out
    assert platform.endpoints.get("flights").loaded


def test_a_dry_run_and_a_repetition_change_nothing(platform: Platform, endpoint: Endpoint) -> None:
    """Neither is in the history."""
    before = platform.history.revision()
    assert not set_loaded(platform, endpoint.name, loaded=True).carried_out
    assert not set_loaded(platform, endpoint.name, loaded=False, dry_run=True).carried_out
    assert platform.history.revision() == before
    assert platform.endpoints.get(endpoint.name).loaded


def test_an_unloaded_endpoint_stays_so_through_a_deploy(
    platform: Platform, endpoint: Endpoint
) -> None:
    """A new version does not load what somebody unloaded."""
    set_loaded(platform, endpoint.name, loaded=False)
    deploy(platform, endpoint.name, model="flights", number=2)
    assert not platform.endpoints.get(endpoint.name).loaded


def test_an_errand_is_done_in_the_name_of_who_asked(platform: Platform, endpoint: Endpoint) -> None:
    """What a caller wants takes the path of the command line, with the caller in the history."""
    platform.errands.give(_errand(platform, endpoint.name, loaded=False))
    run_errands(platform)
    change = platform.history.changes(endpoint.name)[-1]
    snapshot = platform.snapshots.current()
    assert (change.kind, change.principal) == (ChangeKind.UNLOADED, "caller-7")
    assert snapshot is not None
    assert not snapshot.endpoints[0].loaded
    assert platform.errands.report("one") == Report(id="one", fault="")
    assert platform.errands.open(0.0) == ()


def test_an_errand_that_changes_nothing_is_done(platform: Platform, endpoint: Endpoint) -> None:
    """To load what is loaded is no line in the history, and no fault."""
    before = platform.history.revision()
    platform.errands.give(_errand(platform, endpoint.name, loaded=True))
    run_errands(platform)
    assert platform.errands.report("one") == Report(id="one", fault="")
    assert platform.history.revision() == before


def test_an_errand_that_cannot_be_done_is_told_of(platform: Platform) -> None:
    """Whoever waits learns why, and nothing is tried for ever."""
    platform.errands.give(_errand(platform, "nothing", loaded=True))
    run_errands(platform)
    report = platform.errands.report("one")
    assert report is not None
    assert "no endpoint `nothing`" in report.fault
    assert platform.errands.open(0.0) == ()


def test_an_endpoint_that_is_not_there_is_named(platform: Platform) -> None:
    """A wrong name is an error with a next step."""
    with pytest.raises(EndpointMissingError):
        set_loaded(platform, "nothing", loaded=True)
