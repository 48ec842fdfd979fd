"""The contract of `Runs`."""

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.runs import SqlRuns
from servewell.core.catalog.model import Parameter
from servewell.core.catalog.run import MOVES, Run, RunState
from servewell.ports.runs import RunMissingError, Runs
from servewell.ports.state import StateConflictError

RUN = Run(
    id="r1",
    workload="flight-delays",
    state=RunState.RUNNING,
    inputs_digest="a" * 64,
    parameters={"depth": 3},
    dataset="flights:1",
    commit="abc",
    dirty=True,
    environment_digest="e" * 64,
    started_at=10.25,
    pid=4_194_304,
)
DONE = replace(
    RUN,
    state=RunState.SUCCEEDED,
    ended_at=20.5,
    model_version="flight-delay:1",
    metrics={"auc": 0.75, "nan": math.inf},
)


@pytest.fixture(params=[pytest.param(SqlRuns, id="sql")])
def runs(request: pytest.FixtureRequest, database: Database) -> Runs:
    """Each adapter in turn."""
    made: Runs = request.param(database)
    return made


def test_a_run_reads_back_as_it_was_saved(runs: Runs) -> None:
    """New, changed, and saved twice."""
    for run in (RUN, RUN, DONE, DONE):
        runs.save(run)
        assert runs.get("r1") == run
    assert runs.list() == (DONE,)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    parameters=st.dictionaries(
        st.text(max_size=5),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        max_size=5,
    )
)
def test_parameters_keep_their_types(runs: Runs, parameters: dict[str, Parameter]) -> None:
    """A whole number stays whole, a float a float, whatever the text holds."""
    run = replace(RUN, id=f"r{len(runs.list())}", parameters=parameters)
    runs.save(run)
    assert repr(runs.get(run.id).parameters) == repr(parameters)


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("after", RunState)
def test_a_state_moves_only_as_the_table_allows(
    runs: Runs, state: RunState, after: RunState
) -> None:
    """What ended stays as it ended, and a refused save changes nothing."""
    known = replace(RUN, state=state)
    runs.save(known)
    if after is state or after in MOVES[state]:
        runs.save(replace(known, state=after))
        assert runs.get("r1").state is after
    else:
        with pytest.raises(StateConflictError, match="r1"):
            runs.save(replace(known, state=after, error="changed"))
        assert runs.get("r1") == known


@pytest.mark.parametrize(
    "changed",
    [
        replace(DONE, workload="other"),
        replace(DONE, inputs_digest="b" * 64),
        replace(DONE, started_at=11.0),
    ],
)
def test_what_a_run_began_with_never_changes(runs: Runs, changed: Run) -> None:
    """Another workload, other inputs or another start are another run."""
    runs.save(RUN)
    with pytest.raises(StateConflictError):
        runs.save(changed)
    assert runs.get("r1") == RUN


def test_finds_the_newest_success_of_the_same_work(runs: Runs) -> None:
    """Only what succeeded, with these inputs, in this workload; of several the newest."""
    runs.save(replace(DONE, id="a", started_at=1.0))
    runs.save(replace(DONE, id="b", started_at=3.0))
    runs.save(replace(DONE, id="c", started_at=2.0))
    runs.save(replace(DONE, id="d", started_at=4.0, state=RunState.FAILED))
    runs.save(replace(DONE, id="e", started_at=5.0, inputs_digest="other"))
    runs.save(replace(DONE, id="f", started_at=6.0, workload="other"))
    found = runs.succeeded("flight-delays", "a" * 64)
    assert found is not None
    assert found.id == "b"
    assert runs.succeeded("flight-delays", "unknown") is None


def test_lists_the_oldest_first(runs: Runs) -> None:
    """By start, of one workload or of all."""
    runs.save(replace(RUN, id="late", started_at=3.0))
    runs.save(replace(RUN, id="early", started_at=1.0, workload="other"))
    runs.save(replace(RUN, id="middle", started_at=2.0))
    assert [run.id for run in runs.list()] == ["early", "middle", "late"]
    assert [run.id for run in runs.list("flight-delays")] == ["middle", "late"]


def test_a_missing_run_is_named(runs: Runs) -> None:
    """The error says which, and where ids are found."""
    with pytest.raises(RunMissingError, match="nowhere") as caught:
        runs.get("nowhere")
    assert "servewell runs list" in caught.value.fix
