"""Processes that work on a prediction log, to be killed while they do.

python record_processes.py cut FOLDER       kill a compaction of FOLDER at its every step
python record_processes.py write FOLDER     append records for ever, and say each id
python record_processes.py narrow FOLDER    compact while no file may grow past a few bytes
"""

import fcntl
import os
import resource
import shutil
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Final

import pyarrow as pa

from servewell.adapters.embedded.records import FileRecords
from servewell.core.catalog.prediction_record import (
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
)
from servewell.errors import ServewellError

STEPS: Final = {"open", "os.rename", "os.remove", "os.mkdir"}
SCHEMA: Final = RecordSchema(
    package="p", inputs=(("number", "INT64", (1,), False),), outputs=(("twice", "INT64", ()),)
)
RECORDS_IN_A_SEGMENT: Final = 20


def cut(folder: Path) -> None:
    """Compact copies of a log, each killed one step later, until one is not; print the copies."""
    pa.array([0])  # the first array imports pandas where there is one: once, not in every child
    for step in count():
        copy = folder.with_name(f"{folder.name}-{step}")
        shutil.copytree(folder, copy)
        child = os.fork()
        if child == 0:
            _kill_at(step, copy)
            FileRecords(copy).compact(2e9, age_s=0)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        say(copy, "killed" if killed else f"ended {os.waitstatus_to_exitcode(status)}")
        if not killed:
            return


def _kill_at(step: int, folder: Path) -> None:
    """Kill this process when it does something to the folder for the `step`th time."""
    left = step

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in STEPS or not str(arguments[0]).startswith(str(folder)):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sys.addaudithook(hook)


def write(folder: Path) -> None:
    """Append records as a worker does, and print the id of each that is on the disk."""
    for segment in count():
        path = folder / f"w0-{segment:06d}.segment"
        draft = path.with_name(f".{path.name}")
        with draft.open("xb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(frame(SegmentHeader(worker=0, pid=os.getpid(), started_ns=segment)))
            draft.rename(path)
            file.write(frame(SCHEMA))
            for sequence in range(RECORDS_IN_A_SEGMENT):
                number = segment * RECORDS_IN_A_SEGMENT + sequence
                file.write(frame(_record(sequence, number)))
                say(number)


def _record(sequence: int, number: int) -> PredictionRecord:
    return PredictionRecord(
        sequence=sequence,
        prediction_id=str(number),
        time_ns=1_700_000_000_000_000_000 + number * 60_000_000_000,
        endpoint="doubling",
        deployment="d",
        model="m:1",
        package="p",
        principal="somebody",
        key_id="k",
        request_id="",
        trace_id="",
        status=200,
        code="",
        reason="",
        rows=1,
        inputs=[[number]],
        outputs=[[2 * number]],
        stages_us=(1, 2, 3, 4, 5),
        snapshot=1,
    )


def narrow(folder: Path) -> None:
    """Compact while a write past a few bytes fails, as it does on a full disk; print the error."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    try:
        FileRecords(folder).compact(2e9, age_s=0)
    except ServewellError as error:
        say(error)


def say(*words: object) -> None:
    """Tell the test, before anything else happens."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"cut": cut, "write": write, "narrow": narrow}[sys.argv[1]](Path(sys.argv[2]))
