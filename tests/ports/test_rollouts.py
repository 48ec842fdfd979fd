"""The contract of `Rollouts`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database, open_database
from servewell.adapters.embedded.endpoints import SqlEndpoints
from servewell.adapters.embedded.history import SqlHistory
from servewell.adapters.embedded.rollouts import SqlRollouts
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint, Shadow
from servewell.core.catalog.judgement import Finding, Judgement, Showing, Verdict
from servewell.core.catalog.rollout import Approval, Rollout, RolloutPlan, Stage, Strategy
from servewell.ports.rollouts import RolloutBusyError, RolloutMissingError, Rollouts
from servewell.ports.state import StateConflictError

CHANGE = Change(
    at=5.5, principal="ada", kind=ChangeKind.ROLLOUT_MOVED, subject="flights", because="shown"
)
FLIGHTS = Endpoint(
    name="flights",
    workload="flight-delays",
    deployments=(
        Deployment(
            name="v1", model="m", version=1, package="p", package_signature="s", share_bp=10_000
        ),
    ),
    shadow=Shadow(deployment="v2", share_bp=100),
)
JUDGEMENT = Judgement(
    verdict=Verdict.WAIT,
    because="too little",
    findings=(Finding(measure="errors", showing=Showing.NO_DATA, because="none", low=0.5),),
    missing=("80 requests more",),
)
ROLLOUT = Rollout(
    id="r1",
    endpoint="flights",
    candidate="v2",
    candidate_version="m:2",
    stable="v1",
    stable_version="m:1",
    plan=RolloutPlan(strategy=Strategy.SHADOW_THEN_CANARY, not_during=("Fri 16:00-24:00 UTC",)),
    stage=Stage.SHADOWING,
    began_at=1.0,
    stage_at=2.0,
    looked_at=3.0,
    because="asked for",
    principal="ada",
    approvals=(Approval(principal="bob", because="seen", at=1.5, of=Stage.PROPOSED),),
    waits_for=("50 requests",),
    judgement=JUDGEMENT,
)


@pytest.fixture(params=[pytest.param(SqlRollouts, id="sql")])
def rollouts(request: pytest.FixtureRequest, database: Database) -> Rollouts:
    """Each adapter in turn."""
    made: Rollouts = request.param(database)
    return made


@pytest.fixture
def endpoints(database: Database) -> SqlEndpoints:
    """Return the endpoints of the same state."""
    return SqlEndpoints(database)


@pytest.fixture
def history(database: Database) -> SqlHistory:
    """Return the history of the same state."""
    return SqlHistory(database)


def test_a_rollout_reads_back_as_it_was_saved(rollouts: Rollouts) -> None:
    """Nothing of it is lost, and each save makes the next revision."""
    kept = rollouts.save(ROLLOUT)
    assert kept == replace(ROLLOUT, revision=1)
    assert rollouts.get("r1") == kept
    assert rollouts.save(kept).revision == 2
    assert rollouts.list() == (replace(ROLLOUT, revision=2),)


def test_what_was_only_observed_makes_no_history(rollouts: Rollouts, history: SqlHistory) -> None:
    """The revision of the state stays, so nothing is published for it."""
    rollouts.save(rollouts.save(ROLLOUT))
    assert history.revision() == 0


def test_all_of_it_is_kept(
    rollouts: Rollouts, endpoints: SqlEndpoints, history: SqlHistory
) -> None:
    """The rollout, its endpoint and the line of history arrive together."""
    rollouts.save(ROLLOUT, endpoint=FLIGHTS, change=CHANGE)
    assert endpoints.get("flights") == replace(FLIGHTS, revision=1)
    assert history.changes() == (replace(CHANGE, revision=1),)


def test_or_nothing_of_it(rollouts: Rollouts, endpoints: SqlEndpoints, history: SqlHistory) -> None:
    """Where the endpoint is not as it was read, the rollout and the history stay too."""
    kept = rollouts.save(ROLLOUT, endpoint=FLIGHTS, change=CHANGE)
    moved = replace(kept, stage=Stage.SHIFTING)
    with pytest.raises(StateConflictError):
        rollouts.save(moved, endpoint=FLIGHTS, change=CHANGE)
    assert rollouts.get("r1") == kept
    assert endpoints.get("flights").revision == history.revision() == 1


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_saves_only_what_was_read_last(
    rollouts: Rollouts, history: SqlHistory, revision: int
) -> None:
    """A move made for another revision is refused, and leaves no trace."""
    kept = rollouts.save(rollouts.save(ROLLOUT))
    with pytest.raises(StateConflictError, match="moved on"):
        rollouts.save(replace(kept, revision=revision, stage=Stage.PROMOTED), change=CHANGE)
    assert rollouts.get("r1") == kept
    assert history.revision() == 0


def test_one_that_has_ended_never_changes(rollouts: Rollouts) -> None:
    """Its last word stands."""
    ended = rollouts.save(replace(ROLLOUT, stage=Stage.ROLLED_BACK, ended_at=9.0))
    with pytest.raises(StateConflictError, match="moved on") as caught:
        rollouts.save(replace(ended, because="never mind"))
    assert "ended" in caught.value.why
    assert rollouts.get("r1") == ended


def test_an_endpoint_has_one_at_a_time(rollouts: Rollouts) -> None:
    """A second one is refused until the first has ended; another endpoint is free."""
    first = rollouts.save(ROLLOUT)
    second = replace(ROLLOUT, id="r2", candidate_version="m:3")
    with pytest.raises(RolloutBusyError, match="m:2"):
        rollouts.save(second)
    rollouts.save(replace(second, id="r3", endpoint="trains"))
    rollouts.save(replace(first, stage=Stage.CANCELLED, ended_at=9.0))
    rollouts.save(second)
    assert [one.id for one in rollouts.list("flights")] == ["r1", "r2"]
    assert [one.id for one in rollouts.list("flights", open_only=True)] == ["r2"]
    assert {one.id for one in rollouts.list(open_only=True)} == {"r2", "r3"}


def test_of_many_that_begin_at_once_one_does(rollouts: Rollouts, state_url: str) -> None:
    """Also where each comes over a database connection of its own, as another process does."""

    def begin(number: int) -> bool:
        database = open_database(state_url)
        try:
            SqlRollouts(database).save(replace(ROLLOUT, id=f"r{number}"))
        except RolloutBusyError:
            return False
        finally:
            database.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        begun = list(pool.map(begin, range(6)))
    assert begun.count(True) == len(rollouts.list()) == 1


def test_of_many_that_move_it_at_once_one_does(rollouts: Rollouts, history: SqlHistory) -> None:
    """Two control processes do no harm: one move is made, and one line of history."""
    kept = rollouts.save(ROLLOUT)

    def move(number: int) -> bool:
        try:
            rollouts.save(replace(kept, step=number), change=CHANGE)
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(move, range(6))).count(True) == 1
    assert history.revision() == 1


def test_a_missing_rollout_is_named(rollouts: Rollouts) -> None:
    """The error says which, and how to see what there is."""
    with pytest.raises(RolloutMissingError, match="r9") as caught:
        rollouts.get("r9")
    assert "servewell rollouts list" in caught.value.fix
