"""The contract of `Runs`."""

import math
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.runs import SqlRuns
from servewell.core.catalog.model import Parameter
from servewell.core.catalog.run import MOVES, Run, RunState
from servewell.core.catalog.run_query import Comparison, Condition, RunQuery
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


def test_inputs_may_be_told_after_the_start(runs: Runs) -> None:
    """A run whose data a step has yet to make has no digest at first, and then keeps its own."""
    begun = replace(RUN, inputs_digest="")
    runs.save(begun)
    runs.save(replace(begun, inputs_digest="b" * 64))
    with pytest.raises(StateConflictError):
        runs.save(replace(begun, inputs_digest="c" * 64))


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


RUNS = (
    replace(DONE, id="aa1", started_at=1.0, metrics={"auc": 0.7, "brier": 0.2}),
    replace(DONE, id="aa2", started_at=2.0, metrics={"auc": 0.9}),
    replace(DONE, id="ab3", started_at=3.0, metrics={"auc": 0.8, "brier": 0.1}, workload="other"),
    replace(RUN, id="b%4", started_at=4.0),
    replace(DONE, id="b_5", started_at=5.0, state=RunState.FAILED, metrics={"auc": math.inf}),
)


def found(runs: Runs, query: RunQuery) -> list[str]:
    """Return the ids that a query finds among `RUNS`."""
    for run in RUNS:
        runs.save(run)
    return [run.id for run in runs.find(query)]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        pytest.param(RunQuery(), ["b_5", "b%4", "ab3", "aa2", "aa1"], id="newest first"),
        pytest.param(RunQuery(rising=True, limit=2), ["aa1", "aa2"], id="oldest first"),
        pytest.param(RunQuery(limit=2, skip=1), ["b%4", "ab3"], id="a page"),
        pytest.param(RunQuery(workload="other"), ["ab3"], id="workload"),
        pytest.param(
            RunQuery(states=(RunState.RUNNING, RunState.FAILED)), ["b_5", "b%4"], id="states"
        ),
        pytest.param(RunQuery(begins="aa"), ["aa2", "aa1"], id="beginning"),
        pytest.param(RunQuery(begins="b_"), ["b_5"], id="no pattern"),
        pytest.param(RunQuery(by="auc"), ["aa2", "ab3", "aa1", "b_5", "b%4"], id="by metric"),
        pytest.param(
            RunQuery(by="brier", rising=True), ["ab3", "aa1", "aa2", "b%4", "b_5"], id="rising"
        ),
        pytest.param(RunQuery(workload="nothing"), [], id="nothing"),
    ],
)
def test_finds_what_is_asked_for(runs: Runs, query: RunQuery, ids: list[str]) -> None:
    """Filters, order and pages; runs without the metric come last."""
    assert found(runs, query) == ids


@pytest.mark.parametrize(
    ("comparison", "ids"),
    [
        ("<", ["aa1"]),
        ("<=", ["aa1", "ab3"]),
        ("=", ["ab3"]),
        ("!=", ["aa1", "aa2"]),
        (">=", ["aa2", "ab3"]),
        (">", ["aa2"]),
    ],
)
def test_finds_by_conditions_on_metrics(runs: Runs, comparison: Comparison, ids: list[str]) -> None:
    """Each comparison; a run without the metric, or with one that is no number, meets none."""
    condition = Condition(metric="auc", comparison=comparison, value=0.8)
    assert sorted(found(runs, RunQuery(conditions=(condition,)))) == ids


def test_all_conditions_must_hold(runs: Runs) -> None:
    """Several metrics, and one metric twice."""

    def condition(metric: str, comparison: Comparison, value: float) -> Condition:
        return Condition(metric=metric, comparison=comparison, value=value)

    both = (condition("auc", ">", 0.6), condition("brier", "<", 0.15))
    assert found(runs, RunQuery(conditions=both)) == ["ab3"]
    between = (condition("auc", ">", 0.7), condition("auc", "<", 0.9))
    assert found(runs, RunQuery(conditions=between, by="brier")) == ["ab3"]


def test_a_changed_run_is_found_by_its_new_metrics_alone(runs: Runs) -> None:
    """What it measured before finds it no more."""
    runs.save(replace(RUN, metrics={"auc": 0.5, "gone": 1.0}))
    runs.save(replace(DONE, metrics={"auc": 0.6}))
    assert [one.id for one in runs.find(RunQuery(by="auc"))] == ["r1"]
    for metric, value in (("auc", 0.5), ("gone", 1.0)):
        condition = Condition(metric=metric, comparison="=", value=value)
        assert runs.find(RunQuery(conditions=(condition,))) == ()


def test_many_runs_with_many_metrics_are_found_at_once(runs: Runs, database: Database) -> None:
    """Five thousand runs with a hundred metrics each: every way to ask takes under a second."""
    seed(database, runs=5_000, metrics=100)
    condition = Condition(metric="m7", comparison=">", value=90.0)
    for query in (
        RunQuery(workload="w", skip=4_000),
        RunQuery(states=(RunState.RUNNING,)),
        RunQuery(conditions=(condition,), by="m3"),
        RunQuery(by="m5", skip=4_000),
    ):
        began = time.process_time()
        runs.find(query)
        assert time.process_time() - began < 1.0, query


def seed(database: Database, *, runs: int, metrics: int) -> None:
    """Fill the tables within the database, where it takes a second."""
    told = ",".join(f'"m{number}":0.25' for number in range(metrics))
    insert_runs = sa.text(
        "INSERT INTO run (id, workload, state, inputs_digest, parameters, dirty, "
        "environment_digest, started_at, metrics) "
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :most) "
        "SELECT 'r' || i, 'w', 'succeeded', '', '{}', false, '', i, :metrics FROM n"
    )
    insert_metric = sa.text(
        "INSERT INTO run_metric (name, run, value) "
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :most) "
        "SELECT :name, 'r' || i, (i * 37 + :number) % 101 FROM n"
    )
    most = runs - 1
    with database.writing() as connection:
        connection.execute(insert_runs, {"most": most, "metrics": "{" + told + "}"})
        for number in range(metrics):
            values = {"most": most, "name": f"m{number}", "number": number}
            connection.execute(insert_metric, values)
