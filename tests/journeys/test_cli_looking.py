"""The commands that look: history, records, logs, doctor and completion."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from journeys.house import House, eventually, free_port, kill, stop_everything, write_ready_made
from servewell.cli.app import run
from servewell.cli.logs import LogFile
from servewell.wiring import open_platform

pytestmark = pytest.mark.enable_socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A house in which something has happened."""

    house: House
    before_second: float  # when only the first version served
    prediction: str
    refused: str


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Return a house with two versions, a rollback, an answer and a refusal; not to be changed."""
    folder = tmp_path_factory.mktemp("house")
    house = House(
        home=folder / "home",
        folder=folder / "small",
        port=free_port(),
        second="artifact.path=second.onnx",
    )
    write_ready_made(house.folder, port=house.port)
    key = house.up()["key"]
    before = open_platform(house.home).clock.now()
    house.up_second()
    house.run("rollback", "small", "--because", "a complaint")
    answer = house.ask(key)[1]["parameters"]["prediction_id"]
    house.ask(key, x=1_000.0)
    (refused,) = [one for one in house.look("records", "small") if one["status"] == 400]
    yield Lived(
        house=house, before_second=before, prediction=answer, refused=refused["prediction_id"]
    )
    stop_everything(house.home)


class Terminal:
    """Runs commands in this process and keeps what they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self._capsys = capsys
        self._home = home

    def run(self, *words: str) -> tuple[int, str, str]:
        """Return the exit code, stdout and stderr of a command."""
        code = run(open_platform, [*words, "--home", str(self._home)])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def json(self, *words: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Return what a command prints as JSON."""
        return json.loads(self.run(*words, "--json")[1])


@pytest.fixture
def terminal(lived: Lived, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Return a terminal in the house that has lived."""
    return Terminal(capsys, lived.house.home)


def test_history_says_who_changed_what_and_why(terminal: Terminal) -> None:
    """Every change has its reason, the newest last; of one subject, or of all."""
    code, told, _ = terminal.run("history")
    assert code == 0
    assert "a complaint: rolled back from `v2` 100 % to `v1` 100 %" in told.splitlines()[-1]
    kinds = [one["kind"] for one in terminal.json("history", "small")]
    assert kinds[:4] == ["endpoint-created", "deployed", "workload", "rollout-started"]
    assert set(kinds[4:-2]) == {"rollout-moved"}
    assert kinds[-2:] == ["rollout-ended", "rolled-back"]
    assert len(terminal.json("history", "small", "--limit", "2")) == 2


def test_history_says_what_served_then(lived: Lived, terminal: Terminal) -> None:
    """At a time the traffic of that time is told, with the versions behind it."""
    moment = datetime.fromtimestamp(lived.before_second, tz=UTC).isoformat()
    (now,) = terminal.json("history", "small", "--at", "2999-01-01")
    (then,) = terminal.json("history", "--at", moment)
    assert now["versions"] == then["versions"] == {"v1": "small:1"}
    assert now["change"]["kind"] == "rolled-back"
    assert then["change"]["kind"] == "deployed"
    assert "Nothing was served" in terminal.run("history", "--at", "2001-01-01")[1]


def test_history_of_nothing_is_said(terminal: Terminal) -> None:
    """An unknown endpoint and a time that is none are refused in words."""
    code, _, told = terminal.run("history", "nothing")
    assert (code, "SW-201" in told) == (4, True)
    code, _, told = terminal.run("history", "--at", "yesterday")
    assert (code, "2026-03-01T12:00" in told) == (2, True)


def test_records_are_shown_newest_last(lived: Lived, terminal: Terminal) -> None:
    """Answers with their outputs, refusals with their reason, in the order of time."""
    code, told, _ = terminal.run("records", "small")
    assert code == 0
    last_two = told.splitlines()[-2:]
    assert lived.prediction in last_two[0]
    assert "label" in last_two[0]
    assert lived.refused in last_two[1]
    assert "above-maximum x row 0" in last_two[1]
    (newest,) = terminal.json("records", "--limit", "1")
    assert newest["prediction_id"] == lived.refused
    assert "No record matches" in terminal.run("records", "--until", "2001-01-01")[1]


def test_one_record_is_shown_whole(lived: Lived, terminal: Terminal) -> None:
    """By its prediction id: inputs, outputs, times, who asked; a refusal says why."""
    told = terminal.run("records", "--id", lived.prediction)[1]
    assert "input_x" in told
    assert "output_probabilities" in told
    assert "infer" in told
    assert "It kept no values." in terminal.run("records", "--id", lived.refused)[1]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_records_become_a_file(
    lived: Lived, terminal: Terminal, tmp_path: Path, ending: str
) -> None:
    """All of them, one line for each predicted row, with the columns that the log itself has."""
    output = tmp_path / f"log{ending}"
    code, told, _ = terminal.run("records", "small", "--output", str(output))
    assert (code, f"{output}" in told) == (0, True)
    rows = [row for part in open_platform().tables.read(output, batch=10) for row in part]
    by_id = {row["prediction_id"]: row for row in rows}
    assert str(by_id[lived.prediction]["input_x"]) == "1.0"
    assert by_id[lived.prediction]["input_colour"] == "red"
    assert by_id[lived.refused].get("output_label") is None
    assert str(by_id[lived.refused]["status"]) == "400"


def test_usage_accounts_for_every_record(terminal: Terminal) -> None:
    """What the log takes, and that nothing of it is lost, missing or damaged."""
    usage = terminal.json("records", "--usage")
    assert usage["records"] == len(terminal.json("records", "--limit", "1000"))
    assert (usage["lost"], usage["missing"], usage["damaged_bytes"]) == (0, 0, 0)
    assert "lost      0" in terminal.run("records", "--usage")[1]


def test_logs_are_shown_by_process(terminal: Terminal) -> None:
    """All with their names, or one alone; events as text, or whole; what has no log is said."""

    def told_by(name: str) -> str:
        return terminal.run("logs", name)[1]

    assert "supervisor  " in terminal.run("logs")[1]
    alone = terminal.run("logs", "supervisor", "-n", "1")[1]
    assert len(alone.splitlines()) == 1
    assert "serving on" in terminal.run("logs", "supervisor")[1]
    (line,) = terminal.run("logs", "supervisor", "-n", "1", "--json")[1].splitlines()
    assert json.loads(line)["process"] == "supervisor"
    worker = next(name for name in ("worker-0", "worker-1") if "takes requests" in told_by(name))
    assert re.search(r"Z info    The worker takes requests\. pid=\d+", told_by(worker))
    lines = terminal.run("logs", worker, "--json")[1].splitlines()
    assert "snapshot_loaded" in [json.loads(one).get("event") for one in lines]
    code, _, told = terminal.run("logs", "cook")
    assert (code, "worker-1" in told) == (2, True)
    code, _, told = terminal.run("logs", "--run", "unheard-of")
    assert (code, "SW-203" in told) == (4, True)


def test_a_log_that_is_put_aside_is_followed(tmp_path: Path) -> None:
    """What nobody had read of it is shown first, however much the new one has grown since."""
    log = tmp_path / "cook.log"
    log.write_text("".join(f"{one} of many\n" for one in range(100)))
    reading = LogFile(log, name="cook")
    assert reading.last(1) == ["99 of many"]
    with log.open("a") as file:
        file.write("the last\n")
    shutil.copyfile(log, tmp_path / "cook.log.1")
    log.write_text("".join(f"{one} of more\n" for one in range(200)))
    assert reading.more() == ["the last", *(f"{one} of more" for one in range(200))]
    assert reading.more() == []


def test_logs_are_followed(lived: Lived) -> None:
    """What is written from now on is shown as it comes, whole lines only."""
    log = lived.house.home / "logs" / "cook.log"
    log.write_text("before\n")
    follow = subprocess.Popen(
        lived.house.command("logs", "cook", "--follow"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert follow.stdout is not None
        assert follow.stdout.readline() == "before\n"
        with log.open("a") as file:
            file.write("half a ")
            file.flush()
            file.write("line\n")
        assert follow.stdout.readline() == "half a line\n"
        log.write_text("anew\n")
        assert follow.stdout.readline() == "anew\n"
    finally:
        follow.send_signal(signal.SIGINT)
        follow.communicate(timeout=10)
        log.unlink()


def test_doctor_finds_nothing_where_nothing_is_wrong(lived: Lived, terminal: Terminal) -> None:
    """A home that serves is well, and so is its workload."""
    code, told, _ = terminal.run("doctor", str(lived.house.folder))
    assert (code, "no faults" in told) == (0, True), told
    assert "2 workers run" in told
    checks = {one["check"] for one in terminal.json("doctor")["findings"]}
    assert {"machine", "home", "database", "snapshot", "models", "records"} <= checks


def test_doctor_tells_faults_of_the_workload_apart(lived: Lived, terminal: Terminal) -> None:
    """A workload with faults has an exit code of its own."""
    code, told, _ = terminal.run("doctor", str(lived.house.home))
    assert (code, "SW-101" in told) == (3, True)


def test_doctor_looks_without_leaving_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home that does not exist is well, and still does not exist afterwards."""
    code, told, _ = Terminal(capsys, tmp_path / "new").run("doctor")
    assert (code, "`servewell up` makes it" in told) == (0, True), told
    assert list(tmp_path.iterdir()) == []


def test_doctor_tells_everything_that_is_broken(
    ready_house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dead processes, a damaged state, snapshot, model and key: each with its next step."""
    ready_house.up()
    home = ready_house.home
    for name, pid in ready_house.pids().items():
        if name in ("supervisor", "worker-1"):
            kill(pid)
    eventually(lambda: len(ready_house.pids()) == 2, within_s=5)
    (home / "servewell.db").write_text("this is no database")
    (home / "servewell.db-wal").unlink(missing_ok=True)
    (home / "keys" / "operator-key").chmod(0o644)
    for blob in (home / "blobs").glob("*/*"):
        blob.chmod(0o600)
        blob.write_bytes(b"other bytes")
    terminal = Terminal(capsys, home)
    found = terminal.json("doctor", str(ready_house.folder / "nowhere"))["findings"]
    faults = {one["check"]: one for one in found if one["level"] == "fault"}
    assert faults.keys() == {"keys", "database", "models", "processes", "workload"}
    assert all(one["why"] and one["fix"] for one in faults.values())
    (home / "snapshot" / "current").write_bytes(os.urandom(100))
    code, told, _ = terminal.run("doctor")
    assert (code, "SW-507" in told) == (7, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(terminal: Terminal, shell: str) -> None:
    """The script goes to stdout, how to install it to stderr."""
    code, told, aside = terminal.run("completion", shell)
    assert code == 0
    assert "_SERVEWELL_COMPLETE" in told
    assert f"servewell completion {shell} >" in aside


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("servewell pre", ["predict"]),
        ("servewell predict sm", ["small"]),
        ("servewell history ", ["small"]),
        ("servewell predict small --deployment ", ["v1", "v2"]),
        ("servewell predict other --deployment ", []),
    ],
)
def test_names_are_completed_from_the_snapshot(
    lived: Lived, line: str, expected: list[str]
) -> None:
    """Commands, endpoints and the deployments of the endpoint in the line."""
    words = {
        "_SERVEWELL_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "SERVEWELL_HOME": str(lived.house.home),
    }
    done = subprocess.run(
        lived.house.command()[:3],
        env={**os.environ, **words},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [one.removeprefix("plain,") for one in done.stdout.split()] == expected
    assert done.stderr == ""
