"""The contract of `Records`: the same tests for every adapter."""

import json
import math
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fcntl import LOCK_EX, flock
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ports.written_log import (
    EVERYTHING,
    NOW,
    NUMBERS,
    SCHEMAS,
    START_S,
    TEXTS,
    Log,
    Row,
    answered,
    refused,
)
from servewell.adapters.embedded.records import FileRecords
from servewell.adapters.embedded.segments import Head
from servewell.core.catalog.prediction_record import (
    STAGES,
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
    located_frames,
)
from servewell.ports.records import RecordQuery, Records, SegmentCorruptError
from servewell.ports.storage import StorageError

PROCESSES = Path(__file__).with_name("record_processes.py")


def embedded(folder: Path) -> Records:
    """The prediction log of a home on this machine."""
    return FileRecords(folder)


@pytest.fixture(params=[pytest.param(embedded, id="embedded")])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    """Each adapter in turn."""
    make: Callable[[Path], Records] = request.param
    return Log(make(tmp_path / "records"), tmp_path / "records")


def expected(record: PredictionRecord) -> Row:
    """Return what is to be read of a record: the contract, written down once more."""
    schema = SCHEMAS.get(record.package)
    plain = {
        name: getattr(record, name)
        for name in msgspec.structs.asdict(record)
        if name not in ("sequence", "time_ns", "stages_us", "inputs", "outputs")
    }
    return plain | {
        "time": record.time_ns // 1_000 / 1e6,
        "stages_us": dict(zip(STAGES, record.stages_us, strict=True)),
        "inputs": _named(schema.inputs, record.inputs, record.rows) if schema else {},
        "outputs": _named(schema.outputs, record.outputs, record.rows) if schema else {},
    }


def _named(tensors: tuple[tuple[Any, ...], ...], values: list[Any], rows: int) -> Row:
    return {
        name: _rows(values[number], datatype, shape, rows)
        for number, (name, datatype, shape, *_) in enumerate(tensors)
        if values
    }


def _rows(values: Any, datatype: str, shape: tuple[int, ...], rows: int) -> list[Any]:  # noqa: ANN401 - a tensor
    if isinstance(values, bytes):
        code = {"FP32": "f", "FP64": "d", "INT64": "q", "BOOL": "?"}[datatype]
        values = list(struct.unpack(f"<{len(values) // struct.calcsize(code)}{code}", values))
    values = [None if isinstance(one, float) and math.isnan(one) else one for one in values]
    width = math.prod(shape)
    if shape in ((), (1,)):
        return values
    return [values[row * width : (row + 1) * width] for row in range(rows)]


def oldest_first(records: list[PredictionRecord]) -> list[Row]:
    """Return what is to be read of all these records."""
    return [expected(record) for record in sorted(records, key=lambda one: one.time_ns)]


# ---- what a log may hold -------------------------------------------------------------------

singles = st.floats(width=32, allow_infinity=False) | st.none()
doubles = st.floats(allow_nan=False)
whole = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def packed(code: str, values: list[Any]) -> bytes:
    """Return a numeric tensor as a record may hold it: little-endian bytes."""
    return struct.pack(f"<{len(values)}{code}", *values)


def perhaps_packed(code: str, values: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[Any]:
    """Give a tensor as a list, or as bytes where no value is missing."""
    return st.one_of(
        values,
        values.filter(lambda all_of_them: None not in all_of_them).map(
            lambda all_of_them: packed(code, all_of_them)
        ),
    )


@st.composite
def contents(draw: st.DrawFn, number: int) -> PredictionRecord:
    """Give a record of any kind, with a time of its own within three hours."""
    base = {
        "endpoint": draw(st.sampled_from(["flights", "fraud", "late flights/é"])),
        "time_ns": (START_S * 10**6 + draw(st.integers(0, 10_000)) * 10**6 + number) * 1_000,
    }
    kind = draw(st.sampled_from(["numbers", "texts", "refused", "failed"]))
    if kind == "refused":
        return refused(number, **base)
    if kind == "failed":
        return answered(number, **base, status=500, inputs=[], outputs=[], rows=2)
    rows = draw(st.integers(1, 3))

    def of(values: st.SearchStrategy[Any], width: int = 1) -> st.SearchStrategy[list[Any]]:
        return st.lists(values, min_size=rows * width, max_size=rows * width)

    if kind == "texts":
        inputs = [draw(of(texts)), draw(perhaps_packed("?", of(st.booleans())))]
        outputs = [draw(of(texts))]
        package = TEXTS.package
    else:
        inputs = [
            draw(perhaps_packed("f", of(singles))),
            draw(perhaps_packed("q", of(whole))),
            draw(of(texts | st.none())),
            draw(perhaps_packed("d", of(doubles, 2))),
            draw(of(texts)),
        ]
        answer = st.floats(0, 1, width=32)
        outputs = [draw(of(whole)), draw(perhaps_packed("f", of(answer, 2)))]
        package = NUMBERS.package
    return answered(number, **base, rows=rows, package=package, inputs=inputs, outputs=outputs)


@st.composite
def logs(draw: st.DrawFn) -> list[list[PredictionRecord]]:
    """Give a few segments of a few records each."""
    sizes = draw(st.lists(st.integers(0, 5), max_size=4))
    numbers = iter(range(sum(sizes)))
    return [[draw(contents(next(numbers))) for _ in range(size)] for size in sizes]


def fresh(folder: str, parts: list[list[PredictionRecord]]) -> Log:
    """Write a log of these segments."""
    log = Log(FileRecords(Path(folder) / "records"), Path(folder) / "records")
    for number, part in enumerate(parts):
        log.write(f"w{number}", part)
    return log


slow = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# ---- reading -------------------------------------------------------------------------------


def test_nothing_was_ever_recorded(log: Log) -> None:
    """A log that does not exist yet is empty, and nothing need be done to it."""
    assert log.read() == []
    assert log.read(RecordQuery(limit=5)) == []
    assert log.records.compact(NOW, age_s=0).segments == 0
    assert log.records.sweep(NOW, retention_days=1, bytes_max=1 << 20) == ()
    usage = log.records.usage()
    assert (usage.records, usage.bytes, usage.segments, usage.files) == (0, 0, 0, 0)


@slow
@given(parts=logs())
def test_reads_what_was_written_before_and_after_compaction(
    parts: list[list[PredictionRecord]],
) -> None:
    """All records of all segments, oldest first, with every value, wherever they lie."""
    everything = oldest_first([record for part in parts for record in part])
    with TemporaryDirectory() as folder:
        log = fresh(folder, parts)
        assert log.read() == everything
        assert log.compact() or not everything
        assert log.read() == everything
        assert log.records.usage().records == len(everything)
        assert list((log.folder / "live").glob("*")) == []


@slow
@given(
    parts=logs(),
    since=st.none() | st.integers(-10, 10_010),
    until=st.none() | st.integers(-10, 10_010),
    limit=st.none() | st.integers(0, 6),
    endpoint=st.none() | st.sampled_from(["flights", "fraud", "late flights/é", "none"]),
    compacted=st.integers(0, 4),
)
def test_reads_no_more_than_asked_for(  # noqa: PLR0913 - one for each part of a query
    *,
    parts: list[list[PredictionRecord]],
    since: int | None,
    until: int | None,
    limit: int | None,
    endpoint: str | None,
    compacted: int,
) -> None:
    """Time, endpoint and limit choose the same records from segments as from files."""
    query = RecordQuery(
        endpoint=endpoint,
        since=None if since is None else START_S + since,
        until=None if until is None else START_S + until,
        limit=limit,
    )
    asked_for = [
        row
        for row in oldest_first([record for part in parts for record in part])
        if (endpoint in (None, row["endpoint"]))
        and (query.since is None or row["time"] >= query.since)
        and (query.until is None or row["time"] < query.until)
    ]
    if limit is not None:
        asked_for = asked_for[len(asked_for) - min(limit, len(asked_for)) :]
    with TemporaryDirectory() as folder:
        log = fresh(folder, parts[:compacted])
        log.compact()
        for number, part in enumerate(parts[compacted:]):
            log.write(f"v{number}", part)
        assert log.read(query) == asked_for


def test_finds_one_prediction(log: Log) -> None:
    """A prediction id finds its record in a segment, in a file, and nothing where there is none."""
    log.write("w0", [answered(number) for number in range(600)])
    query = RecordQuery(prediction_id="id-000321")
    assert log.ids(query) == ["id-000321"]
    log.compact()
    assert log.ids(query) == ["id-000321"]
    assert log.ids(replace(query, prediction_id="id-999999")) == []


def test_reads_many_segments_as_one_log(log: Log) -> None:
    """Segments that overlap in time come merged, the newest at the end, and a limit cuts there."""
    for worker in range(3):
        records = [answered(3 * step + worker, after_s=step * 900) for step in range(40)]
        log.write(f"w{worker}", records)
        if worker == 1:
            log.compact()
    ids = [f"id-{number:06d}" for number in range(120)]
    assert log.ids() == ids
    assert log.ids(RecordQuery(limit=7)) == ids[-7:]


def test_reads_what_a_worker_still_writes(log: Log) -> None:
    """Whole records of a live segment are read, and the one half written is left for later."""
    path = log.write("w0", [answered(number) for number in range(3)])
    with path.open("ab", buffering=0) as worker:
        flock(worker, LOCK_EX)
        last = frame(answered(3))
        worker.write(last[:20])
        assert log.ids() == ["id-000000", "id-000001", "id-000002"]
        worker.write(last[20:])
        assert log.ids()[-1] == "id-000003"
        assert log.records.usage().segments == 1


def test_large_numbers_stay_what_they_are(log: Log) -> None:
    """A whole number sent for a float input is kept as the float that the model was given."""
    log.write("w0", [answered(0, inputs=[[2**24 + 1], [2**60 + 1], ["AA"], [2**60, 1], ["t"]])])
    inputs = log.read()[0]["inputs"]
    assert inputs["x"] == [float(2**24)]
    assert inputs["count"] == [2**60 + 1]
    assert inputs["pair"] == [[float(2**60), 1.0]]


def test_a_large_request_is_one_record(log: Log) -> None:
    """A request of many rows comes back as one, also when it fills several row groups."""
    rows = 40_000
    records = [
        answered(
            number,
            rows=rows,
            inputs=[
                packed("f", [0.5] * rows),
                packed("q", list(range(rows))),
                ["AA"] * rows,
                packed("d", [1.0, 2.0] * rows),
                ["t"] * rows,
            ],
            outputs=[packed("q", [1] * rows), packed("f", [0.25, 0.75] * rows)],
        )
        for number in range(3)
    ]
    log.write("w0", records)
    log.compact()
    read = log.read(RecordQuery(limit=2))
    assert [row["prediction_id"] for row in read] == ["id-000001", "id-000002"]
    assert read[1]["inputs"]["count"] == list(range(rows))
    assert read[1]["outputs"]["probabilities"][-1] == [0.25, 0.75]


def test_an_output_that_nobody_asked_for_is_null(log: Log) -> None:
    """It is no damage, and what was asked for stands beside it."""
    log.write("w0", [answered(0), answered(1, outputs=[[], [0.25, 0.75]])])
    for _ in range(2):
        outputs = [row["outputs"] for row in log.read()]
        assert outputs[0] == {"label": [1], "probabilities": [[0.25, 0.75]]}
        assert outputs[1] == {"label": [None], "probabilities": [[0.25, 0.75]]}
        log.compact()
    assert log.records.usage().damaged_bytes == 0


def test_a_failed_request_keeps_its_inputs(log: Log) -> None:
    """What the model failed on is there to be looked at."""
    log.write("w0", [answered(0, status=500, code="SW-320", outputs=[])])
    for _ in range(2):
        row = log.read()[0]
        assert row["inputs"]["x"] == [0.5]
        assert row["outputs"] == {}
        log.compact()


# ---- compaction ----------------------------------------------------------------------------


def test_says_what_a_compaction_did(log: Log) -> None:
    """Segments, records, and one file for each endpoint and hour."""
    log.write("w0", [answered(0), answered(1, after_s=3_600), answered(2, endpoint="fraud")])
    done = log.records.compact(NOW, age_s=0)
    assert (done.segments, done.records) == (1, 3)
    assert done.because == "1 segments that nobody writes gave 3 records"
    assert sorted(done.files) == [
        "parquet/endpoint=flights/hour=2023-11-14T22/w0.parquet",
        "parquet/endpoint=flights/hour=2023-11-14T23/w0.parquet",
        "parquet/endpoint=fraud/hour=2023-11-14T22/w0.parquet",
    ]


def test_never_takes_a_segment_that_is_written(log: Log) -> None:
    """A locked segment stays; once its worker is gone it is taken."""
    path = log.write("w0", [answered(0)])
    with path.open("ab") as worker:
        flock(worker, LOCK_EX)
        assert log.compact() == ()
        assert path.exists()
    assert len(log.compact()) == 1
    assert not path.exists()


def test_leaves_young_segments_alone_when_asked(log: Log) -> None:
    """A segment written less than `age_s` ago waits."""
    path = log.write("w0", [answered(0)])
    os.utime(path, (NOW - 59, NOW - 59))
    assert log.records.compact(NOW, age_s=60).segments == 0
    assert log.records.compact(NOW + 1, age_s=60).segments == 1


def test_leaves_a_segment_alone_that_is_still_made(log: Log) -> None:
    """A draft, which has no name yet, is neither read nor taken."""
    path = log.write("w0", [answered(0)])
    draft = path.rename(path.with_name(".w0.segment"))
    assert log.read() == []
    assert log.records.compact(NOW, age_s=0).segments == 0
    assert draft.exists()


def test_compaction_while_it_is_read_shows_each_record_once(log: Log) -> None:
    """A reader that began before a compaction ends after it with the same records."""
    for worker in range(3):
        log.write(f"w{worker}", [answered(300 * worker + number) for number in range(300)])
    reading = log.records.read(EVERYTHING)
    ids = [row["prediction_id"] for row in islice(reading, 10)]
    log.compact()
    ids += [row["prediction_id"] for row in reading]
    assert ids == [f"id-{number:06d}" for number in range(900)]


def test_files_of_a_segment_that_is_still_there_are_not_read_twice(log: Log) -> None:
    """What a killed compaction left beside its segment counts once, read or summed up."""
    path = log.write("w0", [answered(number) for number in range(3)])
    data = path.read_bytes()
    log.compact()
    path.write_bytes(data)
    assert len(log.read()) == 3
    assert log.records.usage().records == 3
    log.compact()
    assert len(log.read()) == 3


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=logs().filter(lambda parts: 3 <= sum(map(len, parts)) <= 4), damaged=st.booleans())
def test_a_compaction_killed_at_any_step_loses_and_doubles_nothing(
    parts: list[list[PredictionRecord]], *, damaged: bool
) -> None:
    """Wherever it is killed, each record is read once, and the next compaction finishes it."""
    everything = oldest_first([record for part in parts for record in part])
    with TemporaryDirectory() as folder:
        fresh(folder, parts)
        if damaged:
            path = Path(folder) / "records" / "live" / "w0.segment"
            path.write_bytes(path.read_bytes() + b"\0" * 40)
        command = [sys.executable, str(PROCESSES), "cut", str(Path(folder) / "records")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        copies = [line.split() for line in said.splitlines()]
        assert copies[-1][1:] == ["ended", "0"]
        assert len(copies) > 5
        for copy, *_ in copies:
            log = Log(FileRecords(Path(copy)), Path(copy))
            assert log.read() == everything
            log.compact()
            assert log.read() == everything
            usage = log.records.usage()
            assert (usage.records, usage.segments) == (len(everything), 0)
            assert usage.damaged_bytes == (40 if damaged else 0)


def test_a_killed_writer_loses_nothing_that_it_acknowledged(log: Log) -> None:
    """Written by one process, compacted by another thread, read by a third: each record once."""
    (log.folder / "live").mkdir(parents=True)
    command = [sys.executable, str(PROCESSES), "write", str(log.folder / "live")]
    stop = threading.Event()

    def compact_for_ever() -> None:
        while not stop.is_set():
            log.compact()

    compacting = threading.Thread(target=compact_for_ever)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pipesize=4_096) as writer:
        assert writer.stdout is not None
        compacting.start()
        acknowledged = 0
        while acknowledged < 200:
            acknowledged = int(list(islice(writer.stdout, 40))[-1]) + 1
            ids = log.ids()
            assert ids[:acknowledged] == [str(number) for number in range(acknowledged)]
            assert ids == [str(number) for number in range(len(ids))]
        writer.kill()
        acknowledged += sum(1 for _ in writer.stdout)
    stop.set()
    compacting.join()
    log.compact()
    ids = log.ids()
    assert ids == [str(number) for number in range(len(ids))]
    assert acknowledged <= len(ids) <= acknowledged + 1
    assert log.records.usage().missing == 0


def test_a_full_disk_costs_nothing(log: Log) -> None:
    """What cannot be written leaves its segment, nothing half written, and a clear error."""
    log.write("w0", [answered(number) for number in range(100)])
    command = [sys.executable, str(PROCESSES), "narrow", str(log.folder)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot be compacted" in said
    assert "SW-501" in said
    assert len(log.read()) == 100
    assert [path for path in log.folder.rglob("*") if path.suffix in (".parquet", ".writing")] == []
    log.compact()
    assert len(log.read()) == 100


def test_says_when_its_place_cannot_be_written(tmp_path: Path) -> None:
    """A file where the log's folder must be is a StorageError that says what to do."""
    (tmp_path / "records").write_text("")
    with pytest.raises(StorageError, match=r"SW-501"):
        FileRecords(tmp_path / "records").compact(NOW, age_s=0)
    with pytest.raises(StorageError):
        FileRecords(tmp_path / "records").sweep(NOW, retention_days=1, bytes_max=1)


# ---- damage --------------------------------------------------------------------------------


@slow
@given(
    count=st.integers(1, 12), data=st.data(), flipped=st.integers(1, 255), compacted=st.booleans()
)
def test_one_changed_byte_hides_no_other_record(
    count: int, data: st.DataObject, flipped: int, *, compacted: bool
) -> None:
    """Wherever the byte is, all other records are read, and what is lost is counted."""
    records = [answered(number) for number in range(count)]
    with TemporaryDirectory() as folder:
        log = fresh(folder, [[answered(99, after_s=-60)], records])
        log.records.compact(NOW, age_s=0)  # from now on the schema is known from a file
        path = log.write("w9", [answered(100 + number) for number in range(count)])
        whole = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(whole) - 1))
        frames = [(start, end) for start, end, _ in located_frames(bytes(whole))]
        hit = next(number for number, (start, end) in enumerate(frames) if start <= place < end)
        whole[place] ^= flipped
        path.write_bytes(whole)
        left = [expected(answered(100 + number)) for number in range(count) if number != hit - 2]
        if compacted:
            log.compact()
        assert log.read(RecordQuery(limit=count + 5))[-len(left) :] == left or not left
        assert len(log.read()) == 1 + count + len(left)
        if compacted:
            _assert_set_aside(log, whole, lost=(hit >= 2), last=(hit == len(frames) - 1))


def _assert_set_aside(log: Log, whole: bytes, *, lost: bool, last: bool) -> None:
    """A damaged segment is kept as it was; only a torn end, which no answer waited for, is not."""
    usage = log.records.usage()
    kept = log.folder / "quarantine" / "w9.segment"
    if not kept.exists():
        assert last
        assert usage.damaged_bytes == usage.missing == 0
        return
    assert kept.read_bytes() == whole
    assert usage.damaged_bytes > 0
    assert usage.missing == (1 if lost and not last else 0)


def test_a_torn_end_is_no_damage(log: Log) -> None:
    """What a killed worker was writing was never acknowledged: no alarm, nothing set aside."""
    log.write("w0", [answered(0), answered(1)], tail=frame(answered(2))[:-3])
    done = log.records.compact(NOW, age_s=0)
    assert done.quarantined == ()
    assert f"{len(frame(answered(2))) - 3} bytes were being written at a kill" in done.because
    assert log.ids() == ["id-000000", "id-000001"]
    usage = log.records.usage()
    assert (usage.damaged_bytes, usage.missing) == (0, 0)


def test_a_gap_in_the_numbers_is_counted(log: Log) -> None:
    """Records that a segment skips are missing, also after a restart, and the rest is kept."""
    path = log.write("w0", [answered(number) for number in range(5)])
    spans = [(start, end) for start, end, _ in located_frames(path.read_bytes())]
    data = path.read_bytes()
    path.write_bytes(data[: spans[3][0]] + data[spans[5][0] :])  # without the second and third
    done = log.records.compact(NOW, age_s=0)
    assert done.quarantined == ("quarantine/w0.segment",)
    assert "1 are damaged and set aside" in done.because
    assert log.ids() == ["id-000000", "id-000003", "id-000004"]
    assert FileRecords(log.folder).usage().missing == 2
    note = json.loads((log.folder / "quarantine" / "w0.json").read_text())
    assert note["because"] == "2 records are missing from it"


@pytest.mark.parametrize("data", [b"", b"not a segment", b"\0" * 5_000, os.urandom(5_000)])
def test_what_is_no_segment_is_set_aside(log: Log, data: bytes) -> None:
    """An empty file or noise stops nothing, is kept, and is counted."""
    log.write("w1", [answered(0)])
    (log.folder / "live" / "w0.segment").write_bytes(data)
    assert log.ids() == ["id-000000"]
    done = log.records.compact(NOW, age_s=0)
    assert done.quarantined == ("quarantine/w0.segment",)
    assert done.records == 1
    assert log.records.usage().segments == 0
    assert (log.folder / "quarantine" / "w0.segment").read_bytes() == data


def test_a_folder_among_the_segments_stops_nothing(log: Log) -> None:
    """Something else with the name of a segment is left alone."""
    log.write("w1", [answered(0)])
    (log.folder / "live" / "w0.segment").mkdir()
    assert log.records.compact(NOW, age_s=0).records == 1
    assert log.ids() == ["id-000000"]


def test_values_that_fit_no_schema_cost_no_record(log: Log) -> None:
    """The record stands without its values, beside whole ones, and its segment is set aside."""
    odd = answered(1, inputs=[["text"], [1], ["AA"], [0.25, 1.5], ["t"]])
    short = answered(2, inputs=[[0.5]])
    unknown = answered(3, package="c" * 64)
    log.write("w0", [answered(0), odd, short, unknown, answered(4)])
    for _ in range(2):
        read = log.read()
        assert [row["prediction_id"] for row in read] == [f"id-{n:06d}" for n in range(5)]
        assert [bool(row["inputs"]) for row in read] == [True, False, False, False, True]
        log.compact()
    assert log.records.usage().damaged_bytes > 0


def test_a_record_that_only_begins_well_costs_no_other(log: Log) -> None:
    """It is damage like any other: its segment is set aside, and the rest is read."""
    odd = answered(1, snapshot="text")
    log.write("w0", [answered(0), odd, answered(2)])
    for _ in range(2):
        assert log.ids() == ["id-000000", "id-000002"]
        log.compact()
    usage = log.records.usage()
    assert (usage.damaged_bytes, usage.missing) == (len(frame(odd)), 1)
    log.write("w1", [answered(3, snapshot="text")], tail=frame(TEXTS))
    log.compact()
    assert log.ids() == ["id-000000", "id-000002"]


def test_the_head_of_a_record_is_how_it_begins() -> None:
    """The same fields in the same order, under the same tag."""
    fields = msgspec.structs.fields(PredictionRecord)
    begins = [(one.name, one.type) for one in msgspec.structs.fields(Head)]
    assert begins == [(one.name, one.type) for one in fields][: len(begins)]
    assert Head.__struct_config__.tag == PredictionRecord.__struct_config__.tag


def test_a_corrupt_file_is_named_when_all_else_was_read(log: Log) -> None:
    """Every other record comes first, then an error that names the file and the next step."""
    log.write("w0", [answered(0)])
    log.write("w1", [answered(number) for number in range(1, 500)])
    log.write("w2", [answered(500)])
    bad = next(name for name in log.compact() if "w1" in name)
    path = log.folder / bad
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    read: list[Row] = []
    with pytest.raises(SegmentCorruptError) as caught:
        read.extend(log.records.read(EVERYTHING))
    assert {"id-000000", "id-000500"} <= {row["prediction_id"] for row in read}
    assert bad in caught.value.what
    path.write_bytes(b"PAR1")
    with pytest.raises(SegmentCorruptError):
        log.read(RecordQuery(limit=10))


def test_a_foreign_file_stops_nothing(log: Log) -> None:
    """A Parquet file that we did not write is named, and the rest is read; other names are not."""
    log.write("w0", [answered(0)])
    path = log.folder / log.compact()[0]
    (path.parent / "notes.txt").write_text("mine")
    (path.parent.parent / "hour=yesterday").mkdir()
    assert log.ids() == ["id-000000"]
    pq.write_table(pa.table({"a": [1]}), path.with_name("mine.parquet"))
    reading = log.records.read(EVERYTHING)
    assert next(reading)["prediction_id"] == "id-000000"
    with pytest.raises(SegmentCorruptError, match=r"mine\.parquet"):
        next(reading)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_corrupt_ledger_or_note_stops_nothing(log: Log, data: bytes) -> None:
    """What only helps is begun again when it is corrupt."""
    log.write("w0", [answered(0)], tail=b"\0" * 9)
    log.compact()
    for name in ("columns.json", "quarantine/w0.json"):
        (log.folder / name).write_bytes(data)
    log.write("w1", [answered(1)])
    log.compact()
    assert log.ids() == ["id-000000", "id-000001"]
    assert log.records.usage().records == 2


# ---- bounds --------------------------------------------------------------------------------


def test_removes_what_is_past_its_retention(log: Log) -> None:
    """Files go by the hour when the last record of that hour is too old, with their folders."""
    log.write("w0", [answered(0), answered(1, after_s=3_600, endpoint="fraud")])
    old, young = sorted(log.compact(), key=lambda name: name[-25:])
    ends_at = datetime(2023, 11, 14, 23, tzinfo=UTC).timestamp()
    day_s = 86_400
    limits = {"retention_days": 1, "bytes_max": 1 << 30}
    assert log.records.sweep(ends_at + day_s - 1, **limits) == ()
    assert log.records.sweep(ends_at + day_s, **limits) == (old,)
    assert log.ids() == ["id-000001"]
    assert not (log.folder / "parquet" / "endpoint=flights").exists()
    assert (log.folder / young).exists()


def test_makes_room_with_the_oldest_and_spares_what_is_written(log: Log) -> None:
    """The oldest files go until the log fits; segments count, and stay."""
    for hour in range(3):
        log.write(f"w{hour}", [answered(hour, after_s=3_600 * hour)])
    files = log.compact()
    size = sum((log.folder / name).stat().st_size for name in files)
    live = log.write("w9", [answered(9, after_s=4 * 3_600)])
    fits = size + live.stat().st_size
    assert log.records.usage().bytes == fits
    assert log.records.sweep(NOW, retention_days=30, bytes_max=fits) == ()
    assert log.records.sweep(NOW, retention_days=30, bytes_max=fits - 1) == (files[0],)
    assert log.records.sweep(NOW, retention_days=30, bytes_max=1) == files[1:]
    assert log.ids() == ["id-000009"]


def test_what_was_set_aside_does_not_outlive_its_retention(log: Log) -> None:
    """A damaged segment holds inputs like any other, so it goes in its time; the count stays."""
    path = log.write("w0", [answered(0)], tail=b"\0" * 9)
    os.utime(path, (NOW, NOW))
    log.compact()
    gone = log.records.sweep(NOW + 86_401, retention_days=1, bytes_max=1 << 30)
    assert gone[1:] == ("quarantine/w0.segment",)
    assert log.records.usage().damaged_bytes == 9


def test_usage_counts_what_is_there(log: Log) -> None:
    """Records wherever they lie, segments, files and bytes."""
    log.write("w0", [answered(number) for number in range(4)])
    log.compact()
    log.write("w1", [answered(5), refused(6)])
    usage = log.records.usage()
    assert (usage.records, usage.segments, usage.files) == (6, 1, 1)
    paths = [path for path in log.folder.rglob("*.*") if path.suffix in (".segment", ".parquet")]
    assert usage.bytes == sum(path.stat().st_size for path in paths)


# ---- other tools ---------------------------------------------------------------------------


@pytest.fixture
def mixed(log: Log) -> Log:
    """Two model versions that disagree about the type of `x`, refused requests before them."""
    log.write("w0", [answered(0), answered(1, after_s=3_600)])
    other = {"package": TEXTS.package, "inputs": [["warm"], [True]], "outputs": [["late"]]}
    log.write("w1", [refused(2, after_s=7_200), answered(3, after_s=7_200, **other)])
    log.compact()
    return log


def newest(folder: Path) -> list[Path]:
    """Return the files, newest first."""
    return sorted(folder.rglob("*.parquet"), reverse=True)


def test_one_scan_reads_all_versions(mixed: Log) -> None:
    """The newest file knows the columns of all, and no column has two types."""
    folder = mixed.folder / "parquet"
    schema = pq.read_schema(newest(folder)[0])
    for path in newest(folder):
        for field in pq.read_schema(path):
            assert schema.field(field.name).type == field.type
    hive = ds.partitioning(
        pa.schema([("endpoint", pa.string()), ("hour", pa.string())]), flavor="hive"
    )
    table = ds.dataset(
        folder, schema=pa.schema([*schema, *hive.schema]), partitioning=hive
    ).to_table()
    rows = sorted(table.to_pylist(), key=lambda row: row["prediction_id"])
    assert [row["input_x"] for row in rows] == [0.5, 0.5, None, None]
    assert [row["input_x_string"] for row in rows] == [None, None, None, "warm"]
    assert [row["row"] for row in rows] == [0, 0, None, 0]
    assert [row["status"] for row in rows] == [200, 200, 400, 200]
    assert rows[0]["hour"] == "2023-11-14T22"
    assert rows[0]["time"] == datetime.fromtimestamp(START_S, UTC)


def test_one_signature_needs_no_help(log: Log) -> None:
    """With one signature, pandas and pyarrow read the folder as it is, refused requests too."""
    log.write("w0", [answered(0), refused(1, after_s=3_600)])
    log.write("w1", [answered(2, after_s=3_600), refused(3, after_s=7_200)])
    log.compact()
    frame_of_all = pd.read_parquet(log.folder / "parquet")
    assert sorted(frame_of_all["prediction_id"]) == [f"id-{number:06d}" for number in range(4)]
    assert frame_of_all["input_x"].notna().sum() == 2
    table = ds.dataset(log.folder / "parquet", partitioning="hive").to_table()
    assert table.num_rows == 4
    assert table.schema.field("input_pair").type == pa.list_(pa.float64())


@pytest.mark.parametrize("elsewhere", ["trips", "flights"])
def test_one_package_may_be_personal_in_turns(log: Log, elsewhere: str) -> None:
    """Each record is read by the schema before it, of another endpoint or after a change of rule.

    A missing value is null by either.
    """
    plain, personal = (
        RecordSchema(
            package="d" * 64, inputs=(("age", "FP32", (1,), rule),), outputs=(("y", "FP32", ()),)
        )
        for rule in (False, True)
    )
    told: list[RecordSchema | PredictionRecord] = []
    ages = [[0.5], ["0f3a"], [1.5], ["77aa"], [None], [None]]
    for number, age in enumerate(ages):
        told.append(personal if number % 2 else plain)
        endpoint = elsewhere if number % 2 else "flights"
        values = {"package": plain.package, "inputs": [age], "outputs": [[0.5]]}
        told.append(answered(number, endpoint=endpoint, **values))
    (log.folder / "live").mkdir(parents=True)
    data = b"".join(map(frame, (SegmentHeader(worker=0, pid=1, started_ns=2), *told)))
    (log.folder / "live" / "w0.segment").write_bytes(data)
    for _ in range(2):
        read = log.read()
        assert [row["inputs"] for row in read] == [{"age": age} for age in ages]
        assert [row["outputs"] for row in read] == [{"y": [0.5]}] * len(ages)
        log.compact()
    assert log.records.usage().damaged_bytes == 0


def test_files_bear_nothing_of_a_personal_value(log: Log) -> None:
    """A personal input is a text column of tokens, whatever its datatype."""
    schema = RecordSchema(
        package="d" * 64, inputs=(("age", "FP32", (1,), True),), outputs=(("y", "FP32", ()),)
    )
    record = answered(0, package=schema.package, inputs=[["0f3a"]], outputs=[[0.5]])
    data = b"".join(map(frame, (SegmentHeader(worker=0, pid=1, started_ns=2), schema, record)))
    (log.folder / "live").mkdir(parents=True)
    (log.folder / "live" / "w0.segment").write_bytes(data)
    assert log.read()[0]["inputs"] == {"age": ["0f3a"]}
    path = log.folder / log.compact()[0]
    assert pq.read_schema(path).field("input_age").type == pa.string()
    shutil.rmtree(path.parent)
    assert log.read() == []
