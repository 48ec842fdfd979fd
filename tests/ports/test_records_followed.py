"""The contract of `Records.follow`: each record once, wherever it lies meanwhile."""

import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ports.written_log import (
    NOW,
    NUMBERS,
    START_S,
    Log,
    answered,
    refused,
    segment,
)
from servewell.adapters.embedded.record_journal import Filed, RecordJournal
from servewell.adapters.embedded.record_tail import Brief
from servewell.adapters.embedded.records import FileRecords
from servewell.core.catalog.evidence_cursor import CursorUnreadableError
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_record import (
    FRAME,
    PINNED,
    SHADOW,
    PredictionRecord,
    frame,
    frames,
    located_frames,
)
from servewell.ports.records import RecordQuery, Records

PROCESSES = Path(__file__).with_name("record_processes.py")


def embedded(folder: Path) -> Records:
    """The prediction log of a home on this machine."""
    return FileRecords(folder)


@pytest.fixture(params=[pytest.param(embedded, id="embedded")])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    """Each adapter in turn."""
    make: Callable[[Path], Records] = request.param
    return Log(make(tmp_path / "records"), tmp_path / "records")


class Follower:
    """Somebody who keeps nothing but a cursor."""

    def __init__(self, log: Log, since: float = float("inf")) -> None:
        self._log = log
        self.cursor = log.records.start_cursor(since)
        self.missing = 0
        self.gaps: list[str] = []

    def look(self, *, inputs: bool = False) -> list[Outcome]:
        """Return everything that came."""
        found: list[Outcome] = []
        more = True
        while more:
            followed = self._log.records.follow(self.cursor, endpoint="flights", inputs=inputs)
            self.cursor, more = followed.cursor, followed.more
            self.missing += followed.missing
            self.gaps += followed.gaps
            found += followed.outcomes
        return found

    def ids(self) -> list[str]:
        """Return the ids of everything that came."""
        return [one.prediction_id for one in self.look()]


def named(*numbers: int) -> list[str]:
    """Return the prediction ids of these records."""
    return [f"id-{number:06d}" for number in numbers]


def test_nothing_was_ever_recorded(log: Log) -> None:
    """A log that does not exist yet can be followed from its first record on."""
    follower = Follower(log)
    assert follower.ids() == []
    log.write("w0", [answered(0)])
    assert follower.ids() == named(0)
    assert follower.ids() == []


def test_gives_what_is_appended_once(log: Log) -> None:
    """Only what is new comes, and a frame that is half written waits until it is whole."""
    path = log.write("w0", [answered(0), answered(1)])
    follower = Follower(log)
    assert follower.ids() == []
    last = frame(answered(3))
    with path.open("ab", buffering=0) as worker:
        worker.write(frame(answered(2)))
        worker.write(last[:20])
        assert follower.ids() == named(2)
        assert follower.ids() == []
        worker.write(last[20:])
        assert follower.ids() == named(3)
    assert (follower.missing, follower.gaps) == (0, [])


def test_a_restarted_follower_goes_on(log: Log) -> None:
    """An empty cursor begins now; what it leads to is all that a new process needs."""
    path = log.write("w0", [answered(0)])
    cursor = log.records.follow("", endpoint="flights").cursor
    with path.open("ab") as worker:
        worker.write(frame(answered(1)))
    again = FileRecords(log.folder)
    first = again.follow(cursor, endpoint="flights")
    assert [one.prediction_id for one in first.outcomes] == named(1)
    repeated = again.follow(cursor, endpoint="flights")  # killed before it kept the new cursor
    assert repeated == first


def test_goes_on_where_a_segment_was_compacted(log: Log) -> None:
    """Half of it was read while it was live, the rest comes from Parquet, and none twice."""
    path = log.write("w0", [answered(number) for number in range(3)])
    follower = Follower(log, since=START_S)
    assert follower.ids() == named(0, 1, 2)
    with path.open("ab") as worker:
        for number in (3, 4):
            worker.write(frame(answered(number, after_s=3_600 if number == 4 else 0)))
    log.compact()
    log.write("w1", [answered(5)])
    assert follower.ids() == named(3, 4, 5)
    log.compact()
    assert follower.ids() == []
    assert len(follower.cursor) < 200


def test_finds_what_came_and_went_between_two_looks(log: Log) -> None:
    """A segment that was written and compacted meanwhile is read from its files."""
    follower = Follower(log)
    for number in range(3):
        log.write(f"w{number}", [answered(number), answered(10 + number, endpoint="fraud")])
        log.compact()
    assert follower.ids() == named(0, 1, 2)
    assert follower.ids() == []


def test_outcomes_are_the_same_from_segment_and_file(log: Log) -> None:
    """Every field, also of several rows, bytes, shadows and refusals."""
    records = [
        answered(0),
        refused(1),
        answered(2, role=SHADOW, deployment="challenger"),
        answered(3, role=PINNED),
        answered(
            4,
            rows=2,
            inputs=[[0.5, 1.5], [1, 2], ["AA", "UA"], [1.0, 2.0, 3.0, 4.0], ["t", "u"]],
            outputs=[(1).to_bytes(8, "little") * 2, [0.25, 0.75, 0.5, 0.5]],
        ),
        answered(5, status=500, code="SW-320", outputs=[]),
    ]
    follower = Follower(log)
    late = Follower(log)
    log.write("w0", records)
    live = follower.look(inputs=True)
    log.compact()
    assert live == late.look(inputs=True)
    assert live[0].outputs == {"label": [1], "probabilities": [[0.25, 0.75]]}
    assert live[0].inputs["pair"] == [[0.25, 1.5]]
    assert live[4].outputs == {"label": [1, 1], "probabilities": [[0.25, 0.75], [0.5, 0.5]]}
    assert [one.is_shadow for one in live] == [False, False, True, False, False, False]
    assert [one.is_pinned for one in live] == [False, False, False, True, False, False]
    assert (live[0].latency_ms, live[0].model_ms) == (0.015, 0.004)
    assert (live[1].outputs, live[1].status) == ({}, 400)


def test_begins_at_a_time(log: Log) -> None:
    """What was read before it is left out, wherever it lies; the rest comes once."""
    log.write("w0", [answered(number, after_s=number * 1_800) for number in range(4)])
    log.compact()
    log.write("w1", [answered(number, after_s=number * 1_800) for number in range(4, 8)])
    for first in range(9):
        follower = Follower(log, since=START_S + first * 1_800)
        assert follower.ids() == named(*range(first, 8))
        assert follower.ids() == []
    assert Follower(log, since=0).ids() == named(*range(8))


def test_a_clock_that_is_set_back_hides_nothing(log: Log) -> None:
    """What is written after the cursor began comes, whatever the time in it."""
    follower = Follower(log, since=START_S)
    log.write("w0", [answered(0, after_s=-86_400)])
    log.compact()
    log.write("w1", [answered(1, after_s=-7_200)])
    assert follower.ids() == named(0, 1)


def test_two_followers_do_not_disturb_each_other(log: Log) -> None:
    """Each has a cursor of its own, and its own pace."""
    slow, fast = Follower(log), Follower(log)
    for number in range(6):
        log.write(f"w{number}", [answered(number)])
        assert fast.ids() == named(number)
        if number % 2:
            log.compact()
    assert slow.ids() == named(*range(6))


def test_a_damaged_segment_goes_on_when_it_was_compacted(log: Log) -> None:
    """What stands before the damage comes at once, what stands behind it later, once."""
    path = log.write("w0", [answered(number) for number in range(5)])
    data = bytearray(path.read_bytes())
    spans = [(start, end) for start, end, _ in located_frames(bytes(data))]
    data[spans[4][0] + 30] ^= 0xFF  # of the third record: a header and a schema stand before
    path.write_bytes(data)
    follower = Follower(log, since=START_S)
    first = follower.ids()
    assert set(first) <= set(named(0, 1))
    assert follower.ids() == []
    log.compact()
    assert sorted(first + follower.ids()) == named(0, 1, 3, 4)
    assert follower.missing == 1
    assert follower.gaps == ["1 records of `w0` are missing"]


def test_what_is_gone_is_said(log: Log) -> None:
    """Records past their retention, and files that cannot be read, are counted."""
    follower = Follower(log)
    log.write("w0", [answered(0), answered(1)])
    log.write("w1", [answered(2)])
    gone, broken = (log.folder / name for name in log.compact())
    gone.unlink()
    broken.write_bytes(b"PAR1")
    log.write("w2", [answered(3)])
    assert follower.ids() == named(3)
    assert follower.missing == 3
    assert "2 records are past their retention" in follower.gaps
    assert "1 records cannot be read" in follower.gaps[1]


def test_a_segment_whose_compaction_was_killed_counts_once(log: Log) -> None:
    """Files, a line in the journal and the segment: all of it at once, and compacted again."""
    path = log.write("w0", [answered(number) for number in range(3)])
    data = path.read_bytes()
    follower = Follower(log)
    early = Follower(log, since=START_S)
    log.compact()
    path.write_bytes(data)
    between = Follower(log)
    assert early.ids() == named(0, 1, 2)
    assert early.ids() == []
    log.compact()
    assert [one.ids() for one in (follower, early, between)] == [[], [], []]
    with (log.folder / "journal" / "00000001.jsonl").open("ab") as journal:
        journal.write(b'{"segm')  # torn off by a kill
    log.write("w1", [answered(3)])
    log.compact()
    assert [one.ids() for one in (follower, early, between)] == [named(3)] * 3


class Workers:
    """Two workers that write segments, as many records as they are told."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._open: dict[bool, tuple[int, int]] = {}  # descriptor, records
        self._segments = 0
        self.written: list[str] = []

    def append(self, which: bool) -> None:  # noqa: FBT001 - one of two workers
        """Write one record, in a new segment where there is none."""
        if which not in self._open:
            path = self._log.write(f"w{self._segments}", [])
            self._segments += 1
            handle = os.open(path, os.O_WRONLY | os.O_APPEND)
            flock(handle, LOCK_EX)
            os.write(handle, frame(NUMBERS))
            self._open[which] = handle, 0
        handle, sequence = self._open[which]
        record = msgspec.structs.replace(answered(len(self.written)), sequence=sequence)
        os.write(handle, frame(record))
        self.written.append(record.prediction_id)
        self._open[which] = handle, sequence + 1

    def rotate(self, which: bool) -> None:  # noqa: FBT001 - one of two workers
        """Let go of the segment."""
        if which in self._open:
            os.close(self._open.pop(which)[0])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["append", "rotate", "compact", "look", "forget"]), st.booleans()
        ),
        max_size=25,
    )
)
def test_every_record_is_given_once_whatever_happens(steps: list[tuple[str, bool]]) -> None:
    """Two workers write and rotate, a compaction comes and goes, a follower is killed at times."""
    with TemporaryDirectory() as folder:
        log = Log(FileRecords(Path(folder) / "records"), Path(folder) / "records")
        follower, workers = Follower(log), Workers(log)
        given_out: list[str] = []
        moves: dict[str, Callable[[bool], object]] = {
            "append": workers.append,
            "rotate": workers.rotate,
            "compact": lambda _: log.compact(),
            "look": lambda _: given_out.extend(follower.ids()),
            # It looked, and was killed before it kept what it saw:
            "forget": lambda _: log.records.follow(follower.cursor, endpoint="flights"),
        }
        last = [("rotate", True), ("rotate", False), ("look", True), ("compact", True)]
        for step, which in [*steps, *last, ("look", True)]:
            moves[step](which)
        assert sorted(given_out) == sorted(workers.written)
        assert (follower.missing, follower.gaps) == (0, [])


def test_a_look_has_a_bound_and_the_next_goes_on(log: Log) -> None:
    """So much at once that a long absence does not fill the memory."""
    whole = log.write("w00", [answered(number) for number in range(2_000)]).read_bytes()
    for part in range(1, 26):
        (log.folder / "live" / f"w{part:02d}.segment").write_bytes(whole)
    first = log.records.follow(log.records.start_cursor(START_S - 1), endpoint="flights")
    second = log.records.follow(first.cursor, endpoint="flights")
    assert (first.more, second.more) == (True, False)
    assert len(first.outcomes) + len(second.outcomes) == 26 * 2_000


def test_old_segments_and_files_have_no_role(log: Log) -> None:
    """Records of an earlier release are read, found behind damage, followed and compacted."""
    fields = msgspec.structs.astuple(answered(0))
    data = msgspec.msgpack.encode([2, *fields[:-1]])
    old = FRAME.pack(len(data), zlib.crc32(data)) + data
    assert [one for one in frames(b"\0" * 9 + old) if isinstance(one, PredictionRecord)]
    path = log.write("w0", [])
    path.write_bytes(segment([]) + frame(NUMBERS) + old)
    follower = Follower(log, since=START_S)
    [outcome] = follower.look()
    assert outcome.role == ""
    [file] = [log.folder / name for name in log.compact()]
    table = pq.read_table(file, partitioning=None).drop_columns(["role", "sequence"])
    pq.write_table(table, file)
    [row] = log.read()
    assert row["role"] == ""
    assert Follower(log, since=START_S).ids() == named(0)
    assert follower.ids() == []


def test_shadows_are_read_only_when_asked_for(log: Log) -> None:
    """Live records are what a reader gets, from segments and from files."""
    log.write("w0", [answered(0), answered(0, role=SHADOW), answered(1, role=PINNED)])
    for _ in range(2):
        assert log.ids() == named(0, 1)
        assert log.ids(RecordQuery(role="shadow")) == named(0)
        assert log.ids(RecordQuery(role="all")) == named(0, 0, 1)
        assert log.ids(RecordQuery(prediction_id="id-000000", role="all")) == named(0, 0)
        log.compact()


def test_a_cursor_of_somebody_else_is_refused(log: Log) -> None:
    """With what to do about it."""
    with pytest.raises(CursorUnreadableError, match=r"SW-543"):
        log.records.follow("{", endpoint="flights")


def test_the_brief_record_is_a_record() -> None:
    """The same fields in the same order, under the same tag."""
    fields = [one.name for one in msgspec.structs.fields(PredictionRecord)]
    assert [one.name for one in msgspec.structs.fields(Brief)] == fields
    assert Brief.__struct_config__.tag == PredictionRecord.__struct_config__.tag


def test_the_journal_goes_with_what_it_tells_of(tmp_path: Path) -> None:
    """Its old files go, and who stands in them is told that something is missing."""
    journal = RecordJournal(tmp_path / "journal")
    for number in range(5):
        journal.append(Filed(segment=f"w{number}-{'0' * (1 << 18)}", parts=()))
    paths = sorted((tmp_path / "journal").iterdir())
    assert len(paths) > 1
    os.utime(paths[0], (NOW - 100, NOW - 100))
    journal.sweep(NOW)
    assert not paths[0].exists()
    assert journal.starts_behind((1, 5))
    assert not journal.starts_behind(journal.end())


def test_finds_many_predictions_wherever_they_lie(log: Log) -> None:
    """In segments and files, live ones alone, with their outputs; what is unknown is left out."""
    log.write("w0", [answered(number) for number in range(300)])
    log.compact()
    log.write("w1", [answered(300), answered(300, role=SHADOW), answered(301, endpoint="fraud")])
    found = list(log.records.find({*named(5, 299, 300, 301, 777)}))
    assert {one.prediction_id: one.endpoint for one in found} == {
        "id-000005": "flights",
        "id-000299": "flights",
        "id-000300": "flights",
        "id-000301": "fraud",
    }
    assert len(found) == 4
    assert found[0].outputs == {"label": [1], "probabilities": [[0.25, 0.75]]}
    assert list(log.records.find([])) == []


def test_finds_by_the_time_that_an_id_tells(log: Log) -> None:
    """An id that begins with its time is looked for near it, from segments and from files."""
    ids = [f"{(START_S + 3_600 * hour) * 10**9:016x}{'0' * 16}" for hour in range(4)]
    records = [
        answered(hour, after_s=3_600 * hour, prediction_id=one) for hour, one in enumerate(ids)
    ]
    log.write("w0", records[:3])
    log.compact()
    log.write("w1", records[3:])
    for one in ids:
        assert [found.prediction_id for found in log.records.find([one])] == [one]
    assert {found.prediction_id for found in log.records.find(ids)} == set(ids)


def test_a_compaction_killed_at_any_step_neither_hides_nor_doubles(
    log: Log,
) -> None:
    """Whoever stood halfway, at the beginning, or begins now, is given the rest once."""
    log.write("w0", [answered(number) for number in range(3)])
    halfway, early = Follower(log), Follower(log, since=START_S)
    with (log.folder / "live" / "w0.segment").open("ab") as worker:
        worker.write(frame(answered(3)))
    command = [sys.executable, str(PROCESSES), "cut", str(log.folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    copies = [Path(line.split()[0]) for line in said.splitlines()]
    assert len(copies) > 5
    for folder in copies:
        records = FileRecords(folder)
        late = records.start_cursor(float("inf"))
        for cursor, expected in (
            (halfway.cursor, named(3)),
            (early.cursor, named(*range(4))),
            (late, []),
        ):
            first = records.follow(cursor, endpoint="flights")
            records.compact(NOW, age_s=0)
            second = records.follow(first.cursor, endpoint="flights")
            given_out = [*first.outcomes, *second.outcomes]
            assert sorted(one.prediction_id for one in given_out) == expected
            assert (first.missing, second.missing) == (0, 0)
