"""The contract of `Endpoints`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.endpoints import SqlEndpoints
from servewell.adapters.embedded.history import SqlHistory
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint, EndpointPolicy
from servewell.ports.endpoints import EndpointMissingError, Endpoints
from servewell.ports.state import StateConflictError

CHANGE = Change(
    at=5.5, principal="ada", kind=ChangeKind.DEPLOYED, subject="flights", because="asked for"
)
CHAMPION = Deployment(
    name="v1", model="m", version=1, package="p", package_signature="s", share_bp=9_000
)
FLIGHTS = Endpoint(
    name="flights",
    workload="flight-delays",
    deployments=(CHAMPION, replace(CHAMPION, name="v2", version=2, share_bp=1_000)),
    past=((("v1", 10_000),), (("v1", 9_500), ("v2", 500))),
    policy=EndpointPolicy(personal=("tailnum",), refuse_unrecorded=True),
)


@pytest.fixture(params=[pytest.param(SqlEndpoints, id="sql")])
def endpoints(request: pytest.FixtureRequest, database: Database) -> Endpoints:
    """Each adapter in turn."""
    made: Endpoints = request.param(database)
    return made


@pytest.fixture
def history(database: Database) -> SqlHistory:
    """Return the history of the same state."""
    return SqlHistory(database)


def test_an_endpoint_reads_back_as_it_was_saved(endpoints: Endpoints) -> None:
    """Nothing of it is lost, and its revision is the change's."""
    kept = endpoints.save(FLIGHTS, CHANGE)
    assert kept == replace(FLIGHTS, revision=1)
    assert endpoints.get("flights") == kept
    assert endpoints.list() == (kept,)


def test_the_change_is_kept_with_it(endpoints: Endpoints, history: SqlHistory) -> None:
    """Each save has its line in the history, numbered by the store."""
    kept = endpoints.save(FLIGHTS, replace(CHANGE, revision=77))
    endpoints.save(kept, CHANGE)
    assert history.changes() == (replace(CHANGE, revision=1), replace(CHANGE, revision=2))


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_saves_only_what_was_read_last(
    endpoints: Endpoints, history: SqlHistory, revision: int
) -> None:
    """A change made for another revision is refused, and leaves no trace."""
    kept = endpoints.save(endpoints.save(FLIGHTS, CHANGE), CHANGE)
    with pytest.raises(StateConflictError, match="somebody else") as caught:
        endpoints.save(replace(kept, revision=revision, workload="lost"), CHANGE)
    assert "servewell history" in caught.value.fix
    assert endpoints.get("flights") == kept
    assert history.revision() == 2


def test_a_new_endpoint_has_no_revision(endpoints: Endpoints, history: SqlHistory) -> None:
    """What was never kept cannot have been read."""
    with pytest.raises(StateConflictError):
        endpoints.save(replace(FLIGHTS, revision=1), CHANGE)
    assert endpoints.list() == ()
    assert history.revision() == 0


def test_lists_by_name(endpoints: Endpoints) -> None:
    """In the order of characters, whatever the collation of the database."""
    for name in ("b", "a-b", "ab", "a"):
        endpoints.save(replace(FLIGHTS, name=name), CHANGE)
    assert [one.name for one in endpoints.list()] == ["a", "a-b", "ab", "b"]


def test_a_missing_endpoint_is_named(endpoints: Endpoints) -> None:
    """The error says which, and how to see what there is."""
    with pytest.raises(EndpointMissingError, match="nowhere") as caught:
        endpoints.get("nowhere")
    assert "servewell endpoints" in caught.value.fix


def test_of_two_at_once_one_wins(endpoints: Endpoints, history: SqlHistory) -> None:
    """Many change what they read at the same time: one succeeds, nothing is overwritten."""
    kept = endpoints.save(FLIGHTS, CHANGE)
    with ThreadPoolExecutor(6) as pool:
        saved = [one for one in pool.map(lambda _: _try(endpoints, kept), range(6)) if one]
    assert [endpoints.get("flights")] == saved
    assert history.revision() == 2


def test_revisions_have_no_gap(endpoints: Endpoints, history: SqlHistory) -> None:
    """Changes of many endpoints at once are numbered 1, 2, 3 … each once."""
    names = [f"e{one}" for one in range(12)]
    with ThreadPoolExecutor(6) as pool:
        saved = list(
            pool.map(lambda name: endpoints.save(replace(FLIGHTS, name=name), CHANGE), names)
        )
    assert sorted(one.revision for one in saved) == list(range(1, 13))
    assert [one.revision for one in history.changes()] == list(range(1, 13))


def _try(endpoints: Endpoints, endpoint: Endpoint) -> Endpoint | None:
    try:
        return endpoints.save(endpoint, CHANGE)
    except StateConflictError:
        return None
