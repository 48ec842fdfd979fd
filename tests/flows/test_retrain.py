"""What calls for a training begins one, and one that goes wrong changes nothing that serves."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from journeys.house import eventually, ready_made, stop_everything, write_ready_made
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.retraining import Retraining, RetrainState, Trigger
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.workload import FILE_NAME, Workload
from servewell.core.catalog.workload_retrain import RetrainRules
from servewell.core.operations.retraining import Step
from servewell.flows.platform import Platform
from servewell.flows.retrain import (
    SignalUnknownError,
    ask,
    ask_again,
    foresee,
    look,
    pause,
    remember_workload,
    resume,
    retrain_due,
    send_signal,
)
from servewell.flows.retraining import train_again
from servewell.ports.retrainings import RetrainingMissingError
from servewell.ports.state import StateConflictError

HANGS = """
import subprocess, sys, time


def train(data, **parameters):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "{mark}"])
    time.sleep(600)
"""


@pytest.fixture
def folder(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """Give the folder of a workload that its home knows; end what is started for it."""
    place = tmp_path / "small"
    write_ready_made(place, port=1)
    add(place, "retrain: {at_most_every_s: 0, settle_s: 0, on_signal: [drift]}")
    remember(platform, place)
    yield place
    stop_everything(tmp_path / "home")


def add(folder: Path, lines: str) -> None:
    """Write more into the file of a workload."""
    with (folder / FILE_NAME).open("a") as file:
        file.write(f"{lines}\n")


def remember(platform: Platform, folder: Path) -> Workload:
    """Have the home know the workload in a folder, as `up` does."""
    described, place = platform.workload_files.read(folder)
    remember_workload(platform, described, place)
    return described


def rows(platform: Platform) -> tuple[Retraining, ...]:
    """Return all retrainings."""
    return platform.retrainings.list()


def until(platform: Platform, what: Callable[[], bool]) -> None:
    """Let the reconciler work until something holds."""

    def tried() -> bool:
        retrain_due(platform)
        return what()

    eventually(tried, within_s=120)


def states(platform: Platform) -> list[RetrainState]:
    """Return where all retrainings stand."""
    return [one.state for one in rows(platform)]


def test_what_is_asked_for_at_once_is_one_training(platform: Platform, folder: Path) -> None:
    """By hand and by signal, while paused; the history tells of it, and what came of it."""
    assert folder.is_dir()
    pause(platform, "small", because="a trial")
    send_signal(platform, "drift", because="it moved")
    retrain_due(platform)
    assert states(platform) == [RetrainState.ASKED]
    (told,) = look(platform)
    assert told.decision.step is Step.WAIT
    assert "paused: a trial" in told.decision.because

    ask(platform, "small", because="now")
    retrain_due(platform)
    assert states(platform) == [RetrainState.RUNNING, RetrainState.MERGED]
    until(platform, lambda: rows(platform)[0].state is not RetrainState.RUNNING)
    done = rows(platform)[0]
    assert done.model_version == "small:1", done.outcome
    assert done.run == platform.runs.list()[0].id
    assert "it moved; now" in done.because
    assert foresee(platform, "small", because="again").step is Step.START
    assert send_signal(platform, "drift", because="", dry_run=True)[0].id == 0
    assert len(rows(platform)) == 2
    told_of = platform.history.changes("small")
    words = [one.because.partition(":")[0] for one in told_of]
    assert words == ["paused", "running", done.state]
    assert {one.kind for one in told_of} == {ChangeKind.RETRAINING}

    resume(platform, "small", because="done")
    retrain_due(platform)
    assert len(rows(platform)) == 2, "nothing calls for another one"


def test_a_signal_that_nothing_listens_to_is_refused(platform: Platform, folder: Path) -> None:
    """It says how to listen to it."""
    assert folder.is_dir()
    with pytest.raises(SignalUnknownError, match="on_signal"):
        send_signal(platform, "storm", because="")


def test_a_folder_that_is_gone_or_faulty_begins_nothing(
    platform: Platform, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is said once, in the status for as long as it holds, and goes on when it is mended."""
    kept = folder.with_name("kept")
    ask(platform, "small", because="try")
    shutil.move(folder, kept)
    for _ in range(3):
        retrain_due(platform)
    assert capfd.readouterr().err.count("is gone") == 1
    (told,) = look(platform)
    assert "is gone" in told.decision.because

    shutil.move(kept, folder)
    add(folder, "nonsense: 1")
    for _ in range(3):
        retrain_due(platform)
    assert capfd.readouterr().err.count("nonsense") == 1
    assert states(platform) == [RetrainState.ASKED]

    written = (folder / FILE_NAME).read_text().replace("nonsense: 1", "model: {tolerance: 0.01}")
    (folder / FILE_NAME).write_text(written)
    until(platform, lambda: states(platform) == [RetrainState.RUNNING])
    assert platform.workloads.get("small").workload.model.tolerance == 0.01


def test_models_that_appear_are_taken_once(platform: Platform, folder: Path) -> None:
    """One half-written is left, a good one imported, a bad one reported once and skipped."""
    add(folder, "")
    text = (folder / FILE_NAME).read_text()
    text = text.replace("settle_s: 0", "settle_s: 0, watch: {folder: incoming}")
    (folder / FILE_NAME).write_text(text)
    remember(platform, folder)
    place = folder / "incoming"
    place.mkdir()
    (place / "half.onnx.part").write_bytes(ready_made(slope=3.0)[:100])
    retrain_due(platform)
    assert rows(platform) == ()
    (place / "good.onnx").write_bytes(ready_made(slope=2.0))
    (place / "bad.onnx").write_bytes(b"this is no model")

    def ended() -> bool:
        return len(rows(platform)) == 2 and all(one.ended_at for one in rows(platform))

    until(platform, ended)
    by_name = {Path(one.location).name: one for one in rows(platform)}
    assert by_name["good.onnx"].model_version == "small:1", by_name["good.onnx"].outcome
    assert by_name["bad.onnx"].state is RetrainState.FAILED
    assert by_name["bad.onnx"].model_version is None
    made = platform.registry.get("small", 1)
    assert platform.blobs.read(made.manifest.artifact) == ready_made(slope=2.0)
    retrain_due(platform)
    assert len(rows(platform)) == 2


def test_a_killed_training_is_begun_again_as_often_as_declared(
    platform: Platform, folder: Path
) -> None:
    """Then it is given up, and says so."""
    limit(platform, attempts=2)
    assert folder.is_dir()
    ask(platform, "small", because="try")
    for attempt in (1, 2):
        until(platform, lambda wanted=attempt: rows(platform)[0].attempt == wanted)  # type: ignore[misc]
        eventually(lambda: rows(platform)[0].pid is not None, within_s=60)
        os.kill(rows(platform)[0].pid or 0, signal.SIGKILL)
        until(platform, lambda: rows(platform)[0].state is not RetrainState.RUNNING)
    until(platform, lambda: states(platform) == [RetrainState.ABANDONED])
    assert "2 times" in rows(platform)[0].outcome
    assert "`servewell logs retraining-1`" in rows(platform)[0].outcome
    assert look(platform)[0].facts.last is None, "it answered nothing"


def test_a_training_that_hangs_is_killed_with_its_children(
    platform: Platform, tmp_path: Path
) -> None:
    """At its limit, whatever it started; nothing was registered."""
    from journeys.house import write_workload  # noqa: PLC0415 - with its rows

    place = tmp_path / "slow"
    write_workload(place, port=1)
    mark = f"child-of-{tmp_path.name}"
    (place / "train.py").write_text(HANGS.replace("{mark}", mark))
    add(place, "retrain: {at_most_every_s: 0}")
    remember(platform, place)
    ask(platform, "small", because="try")
    until(platform, lambda: lives(mark))
    limit(platform, timeout_s=1)
    until(platform, lambda: states(platform) == [RetrainState.TIMED_OUT])
    eventually(lambda: not lives(mark), within_s=10)
    assert platform.side_processes.find("retraining", "1") is None
    assert "after 1 s" in rows(platform)[0].outcome
    assert platform.registry.list() == ()


def limit(platform: Platform, **changed: object) -> None:
    """Give the workload other rules."""
    known = platform.workloads.get("small")
    rules = replace(known.workload.retrain, **changed)  # type: ignore[arg-type]
    platform.workloads.save(replace(known, workload=replace(known.workload, retrain=rules)))


def lives(mark: str) -> bool:
    """Whether a process lives that was started with this word."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(mark) in words:
            return True
    return False


def test_new_data_calls_once_until_it_changes_again(platform: Platform, tmp_path: Path) -> None:
    """What `up` learned from is known; a file that changed calls; the training answers it."""
    from journeys.house import write_workload  # noqa: PLC0415 - with its rows

    place = tmp_path / "data"
    write_workload(place, port=1)
    add(place, "retrain: {on_new_data: true, at_most_every_s: 0, settle_s: 0}")
    described = remember(platform, place)
    assert described.retrain == RetrainRules(on_new_data=True, at_most_every_s=0, settle_s=0)
    assert look(platform)[0].decision.step is Step.SKIP
    os.utime(place / "rows.parquet")
    (told,) = look(platform)
    assert told.decision.step is Step.START
    assert "the data changed" in told.decision.because
    retrain_due(platform)
    (begun,) = rows(platform)
    platform.side_processes.end("retraining", "1")
    platform.retrainings.save(
        replace(platform.retrainings.get(begun.id), state=RetrainState.FAILED)
    )
    assert look(platform)[0].decision.step is Step.SKIP


def test_the_schedule_begins_a_training(platform: Platform, folder: Path) -> None:
    """At its time, once, and not again while it runs."""
    limit(platform, schedule="* * * * * *")
    assert folder.is_dir()
    until(platform, lambda: states(platform) == [RetrainState.RUNNING])
    for _ in range(3):
        retrain_due(platform)
    (begun,) = rows(platform)
    assert (begun.trigger, begun.attempt) == (Trigger.SCHEDULE, 1)
    assert "the schedule `* * * * * *`" in begun.because


def begun(platform: Platform, **changed: object) -> Retraining:
    """Keep a retraining whose first attempt began just now, in this home, and has no process."""
    row = Retraining(
        workload="small",
        trigger=Trigger.NEW_MODEL,
        because="it appeared",
        principal="me",
        state=RetrainState.RUNNING,
        asked_at=platform.clock.now(),
        started_at=platform.clock.now(),
        source="gone.onnx 1",
        location="/nowhere/gone.onnx",
        attempt=1,
        place=platform.side_processes.place,
    )
    return platform.retrainings.save(replace(row, **changed))[0]  # type: ignore[arg-type]


def test_an_import_whose_source_is_away_is_tried_again(platform: Platform, folder: Path) -> None:
    """As often as declared, after a pause; a person may bring back what was given up."""
    assert folder.is_dir()
    row = begun(platform)
    assert train_again(platform, row.id, attempt=1, pid=os.getpid()) == 1
    away = platform.retrainings.get(row.id)
    assert away.state is RetrainState.INTERRUPTED
    assert "gone.onnx" in away.outcome
    retrain_due(platform)
    assert "begun again" in look(platform)[0].decision.because
    limit(platform, attempts=1)
    retrain_due(platform)
    assert states(platform) == [RetrainState.ABANDONED]
    assert "gone.onnx" in rows(platform)[0].outcome
    again = ask_again(platform, "small", row.id, because="it is back")
    assert (again.id, again.state, again.attempt) == (row.id, RetrainState.ASKED, 0)
    assert (again.source, again.trigger) == (row.source, Trigger.HAND)
    with pytest.raises(RetrainingMissingError):
        ask_again(platform, "small", 99, because="")


def test_an_attempt_is_done_by_one_process(platform: Platform, folder: Path) -> None:
    """Not by that of an earlier attempt, nor by a second one, nor what has ended."""
    assert folder.is_dir()
    row = begun(platform, attempt=2, pid=4_194_304)
    assert train_again(platform, row.id, attempt=1, pid=os.getpid()) == 1
    assert train_again(platform, row.id, attempt=2, pid=os.getpid()) == 1
    assert platform.retrainings.get(row.id) == row
    done = platform.retrainings.save(replace(row, state=RetrainState.SUCCEEDED))[0]
    assert train_again(platform, row.id, attempt=2, pid=4_194_304) == 1
    with pytest.raises(StateConflictError):
        ask_again(platform, "small", done.id, because="")
    assert platform.retrainings.get(row.id) == done


def test_a_training_that_just_began_or_is_elsewhere_is_left(
    platform: Platform, folder: Path
) -> None:
    """Its process may not have come up yet, and that of another home cannot be seen."""
    assert folder.is_dir()
    row = begun(platform)
    retrain_due(platform)
    assert platform.retrainings.get(row.id) == row
    long_ago = platform.clock.now() - 60
    elsewhere = replace(row, place="another:/home", pid=4_194_304, started_at=long_ago)
    (elsewhere,) = platform.retrainings.save(elsewhere)
    retrain_due(platform)
    assert platform.retrainings.get(row.id) == elsewhere
    platform.retrainings.save(replace(elsewhere, place=row.place))
    retrain_due(platform)
    assert states(platform) == [RetrainState.INTERRUPTED]


def test_a_training_by_up_is_waited_for(platform: Platform, folder: Path) -> None:
    """Also while a step of it runs, in which no job of the trainer does."""
    assert folder.is_dir()
    run = Run(id="r1", workload="small", state=RunState.RUNNING, inputs_digest="d", started_at=1.0)
    platform.runs.save(run)
    ask(platform, "small", because="try")
    with platform.steps.held("r1"):
        assert "the run r1 is under way" in look(platform)[0].decision.because
    assert look(platform)[0].decision.step is Step.START


def test_a_workload_keeps_its_overrides_and_what_its_schedule_has_answered(
    platform: Platform, folder: Path
) -> None:
    """When its file is read again; another schedule counts from then on."""
    described, place = platform.workload_files.read(folder, ("serving.port=9",))
    known = remember_workload(platform, described, place, overrides=("serving.port=9",))
    add(folder, "model: {tolerance: 0.01}")
    retrain_due(platform)
    read = platform.workloads.get("small")
    assert (read.workload.model.tolerance, read.workload.serving.port) == (0.01, 9)
    assert read.scheduled_from == known.scheduled_from
    told = [one for one in platform.history.changes("small") if one.kind is ChangeKind.WORKLOAD]
    assert [one.because for one in told] == [
        "its file changed: `serving.port`",
        "its file changed: `model.tolerance`",
    ]
    text = (folder / FILE_NAME).read_text()
    (folder / FILE_NAME).write_text(text.replace("settle_s", 'schedule: "0 3 1 * *", settle_s'))
    retrain_due(platform)
    assert platform.workloads.get("small").scheduled_from > known.scheduled_from
