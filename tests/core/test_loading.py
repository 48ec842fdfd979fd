"""Loading and unloading an endpoint."""

from dataclasses import replace

import pytest

from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.operations.loading import decide_loading

ENDPOINT = Endpoint(
    name="flights",
    workload="flights",
    deployments=(
        Deployment(
            name="v1",
            model="flights",
            version=1,
            package="p",
            package_signature="s",
            share_bp=BP_FULL,
        ),
    ),
    revision=7,
)


@pytest.mark.parametrize(
    ("loaded", "kind"), [(True, ChangeKind.LOADED), (False, ChangeKind.UNLOADED)]
)
def test_nothing_changes_but_whether_it_is_loaded(*, loaded: bool, kind: ChangeKind) -> None:
    """Traffic, versions and rules stay; to do again what is done changes nothing."""
    decision = decide_loading(ENDPOINT, loaded=loaded)
    assert decision.endpoint == replace(ENDPOINT, loaded=loaded)
    assert decision.kind is kind
    assert "`v1`" in decision.because
    assert decision.changes(replace(ENDPOINT, loaded=not loaded))
    assert not decision.changes(replace(ENDPOINT, loaded=loaded))
