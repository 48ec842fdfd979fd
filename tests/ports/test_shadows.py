"""The contract of `Shadows`."""

from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.endpoints import SqlEndpoints
from servewell.adapters.embedded.shadows import SqlShadows
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.comparison import Comparison, Half, Slice
from servewell.core.catalog.endpoint import Endpoint, Shadow
from servewell.core.catalog.shadow import ShadowRun
from servewell.ports.shadows import Shadows
from servewell.ports.state import StateConflictError

CHANGE = Change(
    at=5.5, principal="ada", kind=ChangeKind.SHADOW_STARTED, subject="flights", because="asked"
)
FLIGHTS = Endpoint(
    name="flights", workload="flights", shadow=Shadow(deployment="v2", share_bp=1_000)
)
WAITING = Half(
    prediction_id="a", time_ns=1, status=200, code="", model_ms=1.5, outputs={"p": [[0.5, 0.5]]}
)
RUN = ShadowRun(
    endpoint="flights",
    deployment="v2",
    version="flights:2",
    share_bp=1_000,
    difference_max=0.05,
    began_at=1.0,
    because="asked for",
    principal="ada",
    cursor="[1]",
    comparison=Comparison(
        requests=3, slices={"carrier": {"AA": Slice(rows=3)}}, waiting=(WAITING,), largest=0.5
    ),
)


@pytest.fixture(params=[pytest.param(SqlShadows, id="sql")])
def shadows(request: pytest.FixtureRequest, database: Database) -> Shadows:
    """Each adapter in turn."""
    made: Shadows = request.param(database)
    return made


def test_a_shadow_is_read_as_it_was_kept(shadows: Shadows, database: Database) -> None:
    """With everything that was compared, the endpoint and the line of history that began it."""
    kept = shadows.save(RUN, endpoint=FLIGHTS, change=CHANGE)
    assert kept == replace(RUN, revision=1)
    assert shadows.list() == shadows.list("flights", open_only=True) == (kept,)
    assert shadows.list("fraud") == ()
    assert SqlEndpoints(database).get("flights").shadow == FLIGHTS.shadow


def test_only_the_shadow_as_it_was_read_is_kept(shadows: Shadows, database: Database) -> None:
    """Two that observe count nothing twice, and the one that loses changes nothing."""
    first = shadows.save(RUN)
    second = shadows.save(replace(first, cursor="[2]"))
    with pytest.raises(StateConflictError):
        shadows.save(replace(first, cursor="[3]"), endpoint=FLIGHTS, change=CHANGE)
    with pytest.raises(StateConflictError):
        shadows.save(RUN)
    assert shadows.list() == (second,)
    assert SqlEndpoints(database).list() == ()


def test_a_new_shadow_takes_the_place_of_one_that_ended(shadows: Shadows) -> None:
    """One of each endpoint is remembered, ended or not."""
    ended = shadows.save(replace(shadows.save(RUN), ended_at=9.0))
    assert shadows.list(open_only=True) == ()
    assert shadows.list() == (ended,)
    anew = shadows.save(replace(RUN, deployment="v3", began_at=10.0))
    assert shadows.list() == (anew,)
