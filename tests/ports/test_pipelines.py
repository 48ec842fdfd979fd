"""The contract of `Pipelines`."""

from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.pipelines import SqlPipelines
from servewell.adapters.embedded.runs import SqlRuns
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.step import MOVES, Attempt, Output, Step, StepState, Usage
from servewell.ports.pipelines import Pipelines
from servewell.ports.state import StateConflictError

STEP = Step(
    run="r1",
    name="prepare",
    position=0,
    kind="prepare",
    state=StepState.RUNNING,
    key="a" * 64,
    because="it has never succeeded",
    needs=("ingest",),
    started_at=10.25,
    parts={"code": "b"},
)
DONE = replace(
    STEP,
    state=StepState.SUCCEEDED,
    ended_at=20.5,
    attempts=(
        Attempt(number=1, started_at=10.25, ended_at=12.0, error="it failed"),
        Attempt(number=2, started_at=12.0, ended_at=20.5, usage=Usage(cpu_s=1.5, memory_bytes=7)),
    ),
    output=Output(digest="c" * 64, files=2, size_bytes=99),
    metrics={"rows": 3.0},
    usage=Usage(cpu_s=1.5, memory_bytes=7),
)


@pytest.fixture(params=[pytest.param(SqlPipelines, id="sql")])
def pipelines(request: pytest.FixtureRequest, database: Database) -> Pipelines:
    """Each adapter in turn."""
    made: Pipelines = request.param(database)
    return made


def test_a_step_reads_back_as_it_was_saved(pipelines: Pipelines) -> None:
    """New, changed, and saved twice."""
    for step in (STEP, STEP, DONE, DONE):
        pipelines.save(step)
        assert pipelines.of("r1") == (step,)


def test_steps_come_in_the_order_in_which_they_began(pipelines: Pipelines) -> None:
    """Of one run alone."""
    for name, position, run in (("b", 1, "r1"), ("a", 0, "r1"), ("c", 0, "r2")):
        pipelines.save(replace(STEP, name=name, position=position, run=run))
    assert [one.name for one in pipelines.of("r1")] == ["a", "b"]
    assert pipelines.of("nowhere") == ()


@pytest.mark.parametrize("state", StepState)
@pytest.mark.parametrize("after", StepState)
def test_a_state_moves_only_as_the_table_allows(
    pipelines: Pipelines, state: StepState, after: StepState
) -> None:
    """What ended stays as it ended, and a refused save changes nothing."""
    known = replace(STEP, state=state)
    pipelines.save(known)
    if after is state or after in MOVES[state]:
        pipelines.save(replace(known, state=after))
        assert pipelines.of("r1")[0].state is after
    else:
        with pytest.raises(StateConflictError, match="prepare"):
            pipelines.save(replace(known, state=after, because="changed"))
        assert pipelines.of("r1") == (known,)


@pytest.mark.parametrize(
    "changed", [replace(DONE, key="other"), replace(DONE, position=3), replace(DONE, started_at=1)]
)
def test_what_a_step_began_with_never_changes(pipelines: Pipelines, changed: Step) -> None:
    """Other inputs, another place or another start are another step."""
    pipelines.save(STEP)
    with pytest.raises(StateConflictError):
        pipelines.save(changed)
    assert pipelines.of("r1") == (STEP,)


def test_finds_what_was_made_of_the_same_inputs(pipelines: Pipelines) -> None:
    """Only what succeeded by itself, with this key; the newest first."""
    for run, started, state, key in (
        ("a", 1.0, StepState.SUCCEEDED, "k"),
        ("b", 3.0, StepState.SUCCEEDED, "k"),
        ("c", 4.0, StepState.CACHED, "k"),
        ("d", 5.0, StepState.FAILED, "k"),
        ("e", 6.0, StepState.SUCCEEDED, "other"),
    ):
        pipelines.save(replace(DONE, run=run, started_at=started, state=state, key=key))
    assert [one.run for one in pipelines.made("k")] == ["b", "a"]
    assert pipelines.made("unknown") == ()


def test_finds_the_last_of_a_workload(pipelines: Pipelines, database: Database) -> None:
    """By name, done or taken over, of runs of that workload alone."""
    runs = SqlRuns(database)
    for number, (workload, state) in enumerate(
        [
            ("w", StepState.SUCCEEDED),
            ("w", StepState.CACHED),
            ("w", StepState.FAILED),
            ("other", StepState.SUCCEEDED),
        ]
    ):
        run = Run(
            id=f"r{number}",
            workload=workload,
            state=RunState.RUNNING,
            inputs_digest="",
            started_at=number,
        )
        runs.save(run)
        pipelines.save(replace(DONE, run=run.id, started_at=float(number), state=state))
    found = pipelines.last("w", "prepare")
    assert found is not None
    assert found.run == "r1"
    assert pipelines.last("w", "unknown") is None
