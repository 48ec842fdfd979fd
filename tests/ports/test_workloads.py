"""The contract of `Workloads`."""

from dataclasses import replace
from pathlib import Path

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.workload_files import YamlWorkloadFiles
from servewell.adapters.embedded.workloads import SqlWorkloads
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.workload import Artifact, InputRule, Workload
from servewell.core.catalog.workload_retrain import RetrainRules, Watch
from servewell.ports.state import StateConflictError
from servewell.ports.workloads import WorkloadMissingError, Workloads

EXAMPLES = sorted(one.parent for one in (Path(__file__).parents[2] / "examples").glob("*/*.yaml"))
KNOWN = KnownWorkload(
    name="flights",
    folder="/some/where",
    digest="a" * 64,
    workload=Workload(
        workload="flights",
        artifact=Artifact(path="model.onnx"),
        inputs={"origin": InputRule(allowed=("JFK", "LGA")), "wind": InputRule(minimum=0)},
        retrain=RetrainRules(on_signal=("drift",), watch=Watch(folder="incoming")),
    ),
    at=10.25,
    principal="me",
    scheduled_from=10.25,
)


@pytest.fixture(params=[pytest.param(SqlWorkloads, id="sql")])
def workloads(request: pytest.FixtureRequest, database: Database) -> Workloads:
    """Each adapter in turn."""
    made: Workloads = request.param(database)
    return made


def test_a_workload_reads_back_as_it_was_saved(workloads: Workloads) -> None:
    """With all its rules, new and changed."""
    kept = workloads.save(KNOWN)
    assert kept == replace(KNOWN, revision=1)
    changed = workloads.save(replace(kept, paused="the feed is being moved"))
    assert workloads.get("flights") == changed
    assert workloads.list() == (changed,)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.name)
def test_every_example_reads_back(workloads: Workloads, example: Path) -> None:
    """Whatever keys it uses, and whatever it leaves to its defaults."""
    described, _ = YamlWorkloadFiles().read(example)
    workloads.save(replace(KNOWN, workload=described))
    assert workloads.get("flights").workload == described


def test_only_what_was_read_is_changed(workloads: Workloads) -> None:
    """Who comes second with an old one changes nothing."""
    kept = workloads.save(KNOWN)
    workloads.save(replace(kept, fault="gone"))
    for late in (KNOWN, kept):
        with pytest.raises(StateConflictError, match="flights"):
            workloads.save(replace(late, fault="other"))
    assert workloads.get("flights").fault == "gone"


def test_what_is_not_there_is_told(workloads: Workloads) -> None:
    """By its name."""
    with pytest.raises(WorkloadMissingError, match="absent"):
        workloads.get("absent")
