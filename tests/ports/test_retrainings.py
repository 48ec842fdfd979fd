"""The contract of `Retrainings`."""

from dataclasses import replace
from itertools import product

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import SqlHistory
from servewell.adapters.embedded.retrainings import SqlRetrainings
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.retraining import MOVES, Retraining, RetrainState, Trigger
from servewell.ports.retrainings import (
    RetrainingBusyError,
    RetrainingMissingError,
    Retrainings,
)
from servewell.ports.state import StateConflictError

ASKED = Retraining(
    workload="flights",
    trigger=Trigger.SIGNAL,
    because="the inputs moved",
    principal="me",
    asked_at=10.25,
    signal="drift",
)
CHANGE = Change(
    at=11.0, principal="me", kind=ChangeKind.RETRAINING, subject="flights", because="running"
)


@pytest.fixture(params=[pytest.param(SqlRetrainings, id="sql")])
def retrainings(request: pytest.FixtureRequest, database: Database) -> Retrainings:
    """Each adapter in turn."""
    made: Retrainings = request.param(database)
    return made


def test_retrainings_are_numbered_as_they_are_asked_for(retrainings: Retrainings) -> None:
    """And read back as they were saved; what has ended is not open."""
    first, second = retrainings.save(ASKED, replace(ASKED, workload="other"))
    assert (first.id, second.id) == (1, 2)
    begun = replace(first, state=RetrainState.RUNNING, pid=4_194_304, started_at=11.5, data="d")
    (begun,) = retrainings.save(begun)
    assert retrainings.get(1) == begun
    assert retrainings.list() == (begun, second)
    assert retrainings.list("flights") == (begun,)
    (ended,) = retrainings.save(replace(begun, state=RetrainState.SUCCEEDED, outcome="done"))
    assert retrainings.list(open_only=True) == (second,)
    assert retrainings.list("flights") == (ended,)


def test_a_state_moves_only_as_the_table_allows(retrainings: Retrainings) -> None:
    """What ended stays as it ended, and a refused save changes nothing."""
    for state, after in product(RetrainState, RetrainState):
        asked = replace(ASKED, workload=f"{state}-{after}", state=state)
        (kept,) = retrainings.save(asked)
        if after is state or after in MOVES[state]:
            assert retrainings.save(replace(kept, state=after))[0].state is after
        else:
            with pytest.raises(StateConflictError, match=f"retraining {kept.id} "):
                retrainings.save(replace(kept, state=after))
            assert retrainings.get(kept.id) == kept


def test_a_workload_is_trained_once_at_a_time(retrainings: Retrainings) -> None:
    """A second start is refused, with all that was to be kept with it; others may go on."""
    running = replace(ASKED, state=RetrainState.RUNNING)
    retrainings.save(running, replace(running, workload="other"))
    (asked,) = retrainings.save(ASKED)
    with pytest.raises(RetrainingBusyError, match="retraining 1"):
        retrainings.save(replace(asked, state=RetrainState.MERGED), running)
    assert retrainings.get(asked.id) == asked


def test_a_model_that_appeared_is_taken_once(retrainings: Retrainings) -> None:
    """Whoever sees it too is refused."""
    found = replace(ASKED, trigger=Trigger.NEW_MODEL, source="incoming/a.onnx 1")
    retrainings.save(found, replace(found, source="incoming/b.onnx 1"))
    with pytest.raises(StateConflictError, match="has taken"):
        retrainings.save(found)
    assert retrainings.save(replace(found, workload="other"))


def test_the_last_training_and_the_models_taken_are_told(retrainings: Retrainings) -> None:
    """An import is no training, and what only waits has not begun."""
    assert retrainings.last("flights") is None
    found = replace(ASKED, source="a.onnx 1", started_at=13.0, state=RetrainState.FAILED)
    begun = replace(ASKED, started_at=12.0, state=RetrainState.FAILED)
    gone = replace(begun, state=RetrainState.ABANDONED)
    kept = retrainings.save(begun, found, ASKED, replace(begun, workload="other"), gone)
    assert retrainings.last("flights") == kept[0]
    assert retrainings.last("flights", abandoned=True) == kept[4]
    assert retrainings.sources("flights") == {"a.onnx 1"}
    assert retrainings.sources("other") == frozenset()


def test_what_was_changed_meanwhile_is_not_overwritten(
    retrainings: Retrainings, database: Database
) -> None:
    """A change and its line of history are kept together, or not at all."""
    (kept,) = retrainings.save(ASKED)
    retrainings.save(replace(kept, state=RetrainState.RUNNING), change=CHANGE)
    with pytest.raises(StateConflictError):
        retrainings.save(replace(kept, outcome="late"), change=CHANGE)
    assert [one.because for one in SqlHistory(database).changes("flights")] == ["running"]


def test_what_is_not_there_is_told(retrainings: Retrainings) -> None:
    """By its number."""
    with pytest.raises(RetrainingMissingError, match="7"):
        retrainings.get(7)
