"""Changing what an endpoint serves, from the decision to the snapshot."""

import threading
from dataclasses import replace

import pytest

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.flows.publish import StateBehindError, publish_snapshot
from servewell.flows.release import deploy, roll_back, set_traffic
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.registry import ModelMissingError
from servewell.ports.state import StateConflictError


def test_a_deployment_reaches_the_snapshot(platform: Platform, endpoint: Endpoint) -> None:
    """What was decided is kept, explained and published before the flow returns."""
    done = deploy(platform, endpoint.name, model="flights", number=1, because="the first")
    snapshot = platform.snapshots.current()
    assert snapshot is not None
    assert snapshot.endpoints[0].traffic == {"v1": BP_FULL}
    assert snapshot.version == platform.history.revision()
    assert done.carried_out
    last = platform.history.changes("flights")[-1]
    assert last.kind is ChangeKind.DEPLOYED
    assert last.because.startswith("the first: flights:1 gets 100 %")
    assert last.versions == {"v1": "flights:1"}


def test_a_rollback_returns_to_the_version_before(platform: Platform, endpoint: Endpoint) -> None:
    """The endpoint serves what it served before the last change, and history keeps all three."""
    deploy(platform, endpoint.name, model="flights", number=1)
    deploy(platform, endpoint.name, model="flights", number=2)
    roll_back(platform, endpoint.name, because="late flights missed")
    assert platform.endpoints.get("flights").traffic == {"v1": BP_FULL}
    kinds = [change.kind for change in platform.history.changes("flights")]
    assert kinds[1:] == [ChangeKind.DEPLOYED, ChangeKind.DEPLOYED, ChangeKind.ROLLED_BACK]


def test_a_dry_run_changes_nothing(platform: Platform, endpoint: Endpoint) -> None:
    """The decision is shown and not carried out."""
    deploy(platform, endpoint.name, model="flights", number=1)
    before = platform.history.revision()
    done = deploy(platform, endpoint.name, model="flights", number=2, dry_run=True)
    assert not done.carried_out
    assert done.decision.endpoint.traffic == {"v2": BP_FULL}
    assert platform.history.revision() == before
    assert platform.endpoints.get("flights").traffic == {"v1": BP_FULL}


def test_setting_the_same_traffic_again_is_no_change(
    platform: Platform, endpoint: Endpoint
) -> None:
    """History holds changes, not repetitions."""
    deploy(platform, endpoint.name, model="flights", number=1)
    before = platform.history.revision()
    assert not set_traffic(platform, endpoint.name, {"v1": BP_FULL}).carried_out
    assert platform.history.revision() == before


def test_missing_things_are_named(platform: Platform, endpoint: Endpoint) -> None:
    """An endpoint or version that does not exist is an error with a next step."""
    with pytest.raises(EndpointMissingError):
        deploy(platform, "nothing", model="flights")
    with pytest.raises(ModelMissingError):
        deploy(platform, endpoint.name, model="flights", number=99)


def test_two_people_at_once_lose_no_change(platform: Platform, endpoint: Endpoint) -> None:
    """Of two changes on the same facts one is refused; none is overwritten unseen."""
    deploy(platform, endpoint.name, model="flights", number=1)
    deploy(platform, endpoint.name, model="flights", number=2, share_bp=5_000)
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def change(share_bp: int) -> None:
        start.wait()
        try:
            set_traffic(platform, endpoint.name, {"v1": share_bp, "v2": BP_FULL - share_bp})
            outcomes.append("kept")
        except StateConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=change, args=(share,)) for share in (1_000, 2_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    set_changes = [
        change
        for change in platform.history.changes("flights")
        if change.kind is ChangeKind.TRAFFIC_SET
    ]
    assert len(set_changes) == outcomes.count("kept")
    assert platform.endpoints.get("flights").traffic == set_changes[-1].traffic


def test_an_unpublished_change_is_published_later(platform: Platform, endpoint: Endpoint) -> None:
    """What a killed command kept and did not publish, the next publishing carries."""
    deploy(platform, endpoint.name, model="flights", number=1)
    before = platform.endpoints.get("flights")
    decision = deploy(platform, "flights", model="flights", number=2, dry_run=True).decision
    change = platform.history.changes("flights")[-1]
    platform.endpoints.save(decision.endpoint, change)
    snapshot = platform.snapshots.current()
    assert snapshot is not None
    assert snapshot.endpoints[0].traffic == before.traffic
    assert publish_snapshot(platform).endpoints[0].traffic == {"v2": BP_FULL}


def test_every_refusal_leaves_the_state_alone(platform: Platform, endpoint: Endpoint) -> None:
    """Nothing is half-done when a change is refused."""
    deploy(platform, endpoint.name, model="flights", number=1)
    before = platform.endpoints.get("flights")
    attempts = [
        lambda: roll_back(platform, "flights"),
        lambda: roll_back(platform, "flights", to="v7"),
        lambda: set_traffic(platform, "flights", {"v1": 1}),
        lambda: deploy(platform, "flights", model="flights", number=2, name="v1"),
    ]
    for attempt in attempts:
        with pytest.raises(ServewellError):
            attempt()
    assert platform.endpoints.get("flights") == before


def test_a_lost_state_takes_nothing_back(platform: Platform, endpoint: Endpoint) -> None:
    """A snapshot that knows more changes than the state is never replaced by it."""
    deploy(platform, endpoint.name, model="flights", number=1)
    before = platform.snapshots.current()
    assert before is not None
    platform.snapshots.publish(replace(before, version=before.version + 5))
    with pytest.raises(StateBehindError, match="revision"):
        publish_snapshot(platform)
    kept = platform.snapshots.current()
    assert kept is not None
    assert kept.version == before.version + 5
