"""A pipeline as a person meets it: train, look, change, look what changed."""

import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from journeys.house import House, eventually, stop_everything, write_workload
from servewell.cli.app import run
from servewell.ports.workload_files import WorkloadFaultsError
from servewell.wiring import open_platform

STEPS = """
steps:
  ingest:
    script: steps.py
    function: ingest
    kind: ingest
  prepare:
    script: steps.py
    function: prepare
    needs: [ingest]
    files: [rows.parquet]
    parameters:
      least: -10
  check:
    script: check.py
    needs: [train]
    kind: evaluate
"""
CODE = """
import time
from pathlib import Path

HERE = Path(__file__).parent


def ingest(inputs, output):
    (output / "rows.parquet").write_bytes((HERE / "rows.parquet").read_bytes())
    print("waiting", flush=True)
    while (HERE / "wait").exists():
        time.sleep(0.02)
    print("let go")


def prepare(inputs, output, *, least, progress):
    import pandas as pd

    rows = pd.read_parquet(inputs["ingest"] / "rows.parquet")
    progress(0.5, "filtering")
    rows[rows.x >= least].to_csv(output / "rows.csv", index=False)
    return {"rows": len(rows)}
"""
CHECK = """
import json, os
from pathlib import Path

told = json.loads(Path(os.environ["STEP_INPUT_TRAIN"], "result.json").read_text())
assert told["metrics"]["accuracy"] > 0.8
print("good enough")
"""


@dataclass(frozen=True, kw_only=True)
class Lived:
    """A house in which a pipeline ran twice: with another parameter the second time."""

    house: House
    first: dict[str, Any]
    second: dict[str, Any]
    followed: str  # what `runs logs --follow` printed during the first


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Return the house after both runs; not to be changed."""
    root = tmp_path_factory.mktemp("house")
    house = House(home=root / "home", folder=root / "small", port=1)
    write_workload(house.folder, port=1)
    file = house.folder / "servewell.yaml"
    told = file.read_text().replace("path: rows.parquet", "step: prepare\n  path: rows.csv")
    file.write_text(told + STEPS)
    (house.folder / "steps.py").write_text(CODE)
    (house.folder / "check.py").write_text(CHECK)
    (house.folder / "wait").touch()
    train = house.command("train", str(house.folder), "--json")
    with subprocess.Popen(train, stdout=subprocess.PIPE, text=True) as training:
        eventually(lambda: bool(started(house)), within_s=200)
        words = house.command("runs", "logs", started(house)[0], "ingest", "--follow")
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            head = following.stdout.readline() + following.stdout.readline()
            (house.folder / "wait").unlink()
            followed = head + following.communicate(timeout=400)[0]
        first = json.loads(training.communicate(timeout=400)[0])
    second = house.json("train", str(house.folder), "--set", "steps.prepare.parameters.least=-5")
    yield Lived(house=house, first=first, second=second, followed=followed)
    stop_everything(house.home)


def started(house: House) -> list[str]:
    """Return the runs whose first step writes its log."""
    logs = house.home.glob("runs/*/steps/ingest/1/log.txt")
    return [log.parts[-5] for log in logs if log.read_text()]


def told_by(house: House, *words: str) -> str:
    """Return what a command prints for a person, run in this process."""
    told = io.StringIO()
    with redirect_stdout(told):
        assert run(open_platform, [*words, "--home", str(house.home)]) == 0
    return told.getvalue()


def test_a_run_is_listed_with_what_came_of_it(lived: Lived) -> None:
    """Newest first; filtered and sorted by a metric that was measured."""
    listed = lived.house.look("runs", "list", "small")
    assert [one["id"] for one in listed] == [lived.second["run"], lived.first["run"]]
    assert [one["model_version"] for one in listed] == ["small:2", "small:1"]
    assert listed[1]["metrics"]["prepare.rows"] == 400
    assert listed[1]["parameters"] == {"strength": 1.0, "prepare.least": -10}
    assert listed[1]["dataset"] == "small:1"
    found = lived.house.look(
        "runs", "list", "--state", "succeeded", "--where", "accuracy>2", "--sort", "accuracy"
    )
    assert found == []


def test_a_run_is_shown_with_its_steps(lived: Lived) -> None:
    """By the beginning of its id: every step with its time, what it took, and why it ran."""
    shown = lived.house.look("runs", "show", lived.second["run"])
    assert [(one["name"], one["state"]) for one in shown["steps"]] == [
        ("ingest", "cached"),
        ("prepare", "succeeded"),
        ("train", "succeeded"),
        ("check", "succeeded"),
    ]
    assert shown["steps"][1]["because"].startswith("its parameters changed since run ")
    assert shown["steps"][2]["because"].startswith("the data changed since run ")
    words = told_by(lived.house, "runs", "show", lived.second["run"])
    assert "█" in words
    assert "nothing changed since run" in words


def test_runs_are_compared_and_diffed(lived: Lived) -> None:
    """What differs is marked, in parameters, metrics and data; the code is the same."""
    ids = (lived.first["run"], lived.second["run"])
    told = lived.house.look("runs", "compare", *ids)
    rows = {row["name"]: row["values"] for row in told["rows"]}
    assert rows["prepare.least"] == [-10, -5]
    diff = lived.house.look("runs", "diff", *ids)
    assert diff["code"] == diff["environment"] == []
    assert diff["data"][0] == "small:1 became small:2"
    assert [one["name"] for one in diff["parameters"]] == ["prepare.least"]
    words = told_by(lived.house, "runs", "compare", *ids)
    assert any("prepare.least" in line and "differs" in line for line in words.splitlines())


def test_logs_are_read_while_they_are_written(lived: Lived) -> None:
    """`--follow` ends with the run; of a cached step they are those of the run that did it."""
    assert lived.followed == "── ingest, attempt 1\nwaiting\nlet go\n"
    logs = told_by(lived.house, "runs", "logs", lived.second["run"])
    assert "let go" in logs
    assert "progress 0.5000 filtering" in logs
    assert "good enough" in logs


def test_the_same_again_makes_no_run(lived: Lived) -> None:
    """Nothing changed: the dry run says so for each step, and training gives the same version."""
    words = ("--set", "steps.prepare.parameters.least=-5")
    plan = lived.house.look("train", str(lived.house.folder), "--dry-run", *words)
    assert [one["needed"] for one in plan["steps"]] == [False] * 4
    again = lived.house.look("train", str(lived.house.folder), *words)
    assert again["run"] == lived.second["run"]
    assert len(lived.house.look("runs", "list")) == 2


def test_faults_of_the_graph_are_told_together(lived: Lived, tmp_path: Path) -> None:
    """An unknown need, a circle, a missing script and data of no step: one message."""
    (tmp_path / "servewell.yaml").write_text(
        """
        workload: broken
        data: {step: nowhere, path: rows.parquet}
        artifact: {path: servewell.yaml}
        steps:
          a: {script: lost.py, needs: [b]}
          b: {script: servewell.yaml, needs: [a, c]}
        """
    )
    with pytest.raises(WorkloadFaultsError) as caught:
        open_platform(lived.house.home).workload_files.read(tmp_path)
    assert {fault.key for fault in caught.value.faults} == {
        "data.step",
        "steps.a.script",
        "steps.a.needs",
        "steps.b.needs[1]",
    }
