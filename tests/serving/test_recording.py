"""The record: before the answer, whole after a kill, and counted where it is lost."""

import fcntl
import http.client
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.prediction_record import (
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frames,
    salt_of,
)
from servewell.core.security.redaction import token
from servewell.serving.recording import SEGMENT_AGE_S, Recorder
from serving.conftest import Running
from serving.home import Home, Reply, flight_model, request

INFER = "/v2/models/flights/infer"
HUGE = 1 << 40


@dataclass(slots=True)
class SetClock:
    """A clock that stands where it is set."""

    at: float = 1_000.0

    def now(self) -> float:
        """See `Clock.now`."""
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something to be recorded."""

    name: str
    schema: RecordSchema | None = None

    def record(self, sequence: int) -> PredictionRecord:
        """See `Recordable.record`."""
        return PredictionRecord(
            sequence=sequence, prediction_id=self.name, time_ns=sequence, endpoint="e",
            deployment="d", model="m:1", package="p", principal="me", key_id="k", request_id="",
            trace_id="t", status=200, code="", reason="", rows=1, inputs=[], outputs=[],
            stages_us=(0, 0, 0, 0, 0), snapshot=1,
        )  # fmt: skip


def recorder(folder: Path, clock: SetClock, *, bytes_max: int = HUGE) -> Recorder:
    """Return a recorder of worker 3."""
    return Recorder(folder, worker=3, clock=clock, bytes_max=bytes_max)


def segments(folder: Path) -> list[Path]:
    """Return the segments, oldest first."""
    return sorted(folder.glob("*.segment"))


def names(path: Path) -> list[str]:
    """Return the records of a segment by name, once their numbers have no gap."""
    records = [
        one
        for one in frames(path.read_bytes(), salt_of(path.stem))
        if isinstance(one, PredictionRecord)
    ]
    assert [one.sequence for one in records] == list(range(len(records)))
    return [one.prediction_id for one in records]


def test_a_segment_is_locked_named_and_opened_by_its_header(tmp_path: Path) -> None:
    """The name says worker, time and process; the lock is held until the segment is done."""
    written = recorder(tmp_path, SetClock())
    assert segments(tmp_path) == []
    assert written.commit([Entry(name="a"), Entry(name="b")])
    [path] = segments(tmp_path)
    assert re.fullmatch(rf"w3-1000000000000-{os.getpid()}-[0-9a-f]{{8}}\.segment", path.name)
    header = next(frames(path.read_bytes(), salt_of(path.stem)))
    assert header == SegmentHeader(worker=3, pid=os.getpid(), started_ns=10**12)
    with path.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    written.close()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert names(path) == ["a", "b"]
    assert list(tmp_path.glob(".*")) == []


def test_a_draft_that_a_kill_left_is_removed(tmp_path: Path) -> None:
    """A segment that was never named holds no record; the next worker of the index removes it."""
    own, other = tmp_path / ".w3-1-1.segment", tmp_path / ".w30-1-1.segment"
    own.touch()
    other.touch()
    recorder(tmp_path, SetClock()).close()
    assert list(tmp_path.iterdir()) == [other]


def test_a_segment_ends_by_age_also_when_nothing_comes(tmp_path: Path) -> None:
    """Thirty seconds after its first record a segment is closed, and the next record opens one."""
    clock = SetClock()
    written = recorder(tmp_path, clock)
    written.commit([Entry(name="a")])
    clock.at += SEGMENT_AGE_S
    written.tick()
    written.commit([Entry(name="b")])
    clock.at += SEGMENT_AGE_S
    written.commit([Entry(name="c")])
    written.close()
    assert [names(path) for path in segments(tmp_path)] == [["a"], ["b"], ["c"]]


def test_each_segment_says_its_schemas_before_their_records(tmp_path: Path) -> None:
    """A schema stands once before the first record of its package, in every segment anew."""
    clock = SetClock()
    written = recorder(tmp_path, clock)
    schema = RecordSchema(package="p", inputs=(("x", "FP32", (1,), False),), outputs=())
    entry = Entry(name="a", schema=schema)
    written.commit([entry, entry])
    written.commit([entry])
    clock.at += SEGMENT_AGE_S
    written.commit([entry])
    written.close()
    kinds = [
        [type(one) for one in frames(path.read_bytes(), salt_of(path.stem))]
        for path in segments(tmp_path)
    ]
    expected = [SegmentHeader, RecordSchema, PredictionRecord]
    assert kinds == [[*expected, PredictionRecord, PredictionRecord], expected]


def test_a_folder_over_its_bound_takes_no_more(tmp_path: Path) -> None:
    """Space is bounded also when nobody takes the segments away."""
    written = recorder(tmp_path, SetClock(), bytes_max=10)
    assert written.commit([Entry(name="a")])
    written.tick()
    _until(lambda: not written.commit([Entry(name="b")]))
    for path in segments(tmp_path):
        path.unlink()
    written.tick()
    _until(lambda: written.commit([Entry(name="c")]))
    written.close()


def test_a_folder_half_full_has_room_for_live_records_alone(tmp_path: Path) -> None:
    """So copies for a shadow are never why a live request cannot be recorded."""
    written = recorder(tmp_path, SetClock(), bytes_max=10_000)
    assert written.commit([Entry(name="a")])
    assert written.has_room
    written.commit([Entry(name="b" * 100)] * 40)
    written.tick()
    _until(lambda: not written.has_room)
    assert written.commit([Entry(name="c")])
    written.close()


def test_an_unwritable_folder_is_tried_again_each_second(tmp_path: Path) -> None:
    """While no segment can be opened records are lost, and nothing else; then they are kept."""
    clock = SetClock()
    blocked = tmp_path / "live"
    blocked.write_text("a file where the folder should be")
    written = recorder(blocked, clock)
    assert not written.commit([Entry(name="a")])
    blocked.unlink()
    assert not written.commit([Entry(name="b")])
    assert written.fault
    clock.at += 1.0
    assert written.commit([Entry(name="c")])
    written.close()
    assert [names(path) for path in segments(blocked)] == [["c"]]


def _until(done: Callable[[], bool]) -> None:
    for _ in range(500):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in five seconds")


def _until_held(held: list[str], count: int) -> None:
    _until(lambda: len(held) >= count)


def record_of(running: Running, reply: Reply) -> PredictionRecord:
    """Return the record of an answer."""
    prediction = reply.headers["servewell-prediction-id"]
    [found] = [one for one in running.home.records() if one.prediction_id == prediction]
    return found


def test_a_prediction_is_recorded_whole(running: Running) -> None:
    """The record says who asked what of whom, what was answered, when, and how long it took."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    reply = running.infer(
        request(2, delay=[1.5, None], name=["Ada", None]) | {"id": "mine"},
        traceparent=f"00-{trace}-b7ad6b7169203331-01",
    )
    record = record_of(running, reply)
    secret = running.home.secrets.get("redaction")
    assert record.inputs == [[1.5, None], ["AA", "AA"], [10, 10], [token("Ada", secret), None]]
    assert record.outputs[1] == ["AA", "AA"]
    assert record.outputs[0][0] == 13.0
    assert (record.endpoint, record.deployment, record.model) == ("flights", "blue", "flights:1")
    assert (record.principal, record.key_id) == ("operator-of-*", running.operator[3:14])
    assert (record.request_id, record.trace_id) == ("mine", trace)
    assert (record.status, record.code, record.rows, record.snapshot) == (200, "", 2, 1)
    assert abs(record.time_ns / 1e9 - time.time()) < 60  # noqa: TID251  (the worker's clock is real)
    assert record.stages_us[1] + record.stages_us[3] > 0
    assert b"Ada" not in b"".join(path.read_bytes() for path in segments(running.home.live))


@pytest.mark.parametrize(
    "parent", ["", "00-0-0-00", f"00-{'0' * 32}-b7ad6b7169203331-01", "x" * 55]
)
def test_a_bad_trace_parent_starts_a_new_trace(running: Running, parent: str) -> None:
    """What is no `traceparent` is ignored; each prediction has a trace id of its own."""
    record = record_of(running, running.infer(traceparent=parent))
    assert re.fullmatch("[0-9a-f]{32}", record.trace_id)
    assert record.trace_id.strip("0")


def test_refused_and_failed_requests_are_recorded(running: Running) -> None:
    """Every request that passed authentication has a record with its status and code."""
    home, key = running.home, running.operator
    replies = {
        (200, ""): running.infer(),
        (400, "SW-312"): running.infer(b"{"),
        (404, "SW-309"): home.send("POST", "/v2/models/nowhere/infer", key=key, body=b"{}"),
        (404, "SW-304"): home.send("GET", "/nowhere", key=key),
        (405, "SW-305"): home.send("GET", INFER, key=key),
        (403, "SW-308"): home.send("POST", INFER, key=running.stranger, body=request()),
        (413, "SW-302"): running.infer(b" " * 300_000),
        (415, "SW-311"): running.infer(Content_Encoding="br"),
        (404, "SW-310"): running.infer(servewell_deployment="red"),
        (500, "SW-316"): running.infer(request(seats=[5_000])),
    }
    for (status, code), reply in replies.items():
        record = record_of(running, reply)
        assert (reply.status, record.status, record.code) == (status, status, code)
        assert bool(record.inputs) == (status in (200, 500))  # what the model failed on is kept
        assert bool(record.outputs) == (status == 200)
        assert record.endpoint in ("flights", "")


def test_strangers_and_probes_leave_no_record(home: Home) -> None:
    """What is not authenticated is counted, not recorded; nor is a look at health or metrics."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        home.send("POST", INFER, body=request())
        home.send("GET", "/v2/health/ready", key=key)
        text = home.send("GET", "/metrics", key=key).body.decode()
        assert "servewell_unauthenticated_total 1\n" in text
    assert home.records() == []


def test_many_rows_are_recorded_as_bytes(running: Running) -> None:
    """A long numeric column is kept as its little-endian bytes, a text as a list."""
    reply = running.infer(request(300, delay=[0.5] * 300))
    record = record_of(running, reply)
    assert record.inputs[0] == b"\x00\x00\x00\x3f" * 300
    assert record.inputs[1] == ["AA"] * 300
    assert record.rows == 300


def test_prediction_ids_are_unique_and_rise(running: Running) -> None:
    """Ids sort by the time of their request and never come twice."""
    ids = [running.infer().headers["servewell-prediction-id"] for _ in range(20)]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_what_was_acknowledged_survives_a_kill(home: Home) -> None:
    """Every answer that a caller holds has its record after `kill -9` under load."""
    key, grant = home.key()
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(grant,))
    held: list[str] = []
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            with suppress(OSError, http.client.HTTPException):
                reply = home.send("POST", INFER, key=key, body=request())
                held.append(reply.headers["servewell-prediction-id"])

    callers = [threading.Thread(target=call) for _ in range(4)]
    for one in callers:
        one.start()
    for goal in (50, 100, 150):
        with home.process() as process:
            _until_held(held, goal)
            process.kill()
            process.wait()
    with home.process():
        stop.set()
        for one in callers:
            one.join()
    recorded = [one.prediction_id for one in home.records(torn=True)]
    assert set(held) <= set(recorded)
    assert len(recorded) == len(set(recorded))


@pytest.mark.parametrize("refuse", [False, True])
def test_a_full_disk(home: Home, *, refuse: bool) -> None:
    """Past the limit a worker answers and counts, or refuses with 503, as the policy says."""
    key, grant = home.key()
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        policy=EndpointPolicy(refuse_unrecorded=refuse),
        grants=(grant,),
    )
    with home.process(0, str(4 << 20)):
        home.wait_for_snapshot()
        full = home.live
        body = request(2_000, carrier=["AA"] * 2_000, name=["x" * 20] * 2_000)
        replies = [home.send("POST", INFER, key=key, body=body) for _ in range(60)]
        text = home.send("GET", "/metrics", key=key).body.decode()
    lost = int(re.findall(r"^servewell_records_lost_total (\d+)", text, re.MULTILINE)[0])
    refused = [one for one in replies if one.status != 200]
    assert lost > 0
    assert len(refused) == (lost if refuse else 0)
    for reply in refused:
        assert (reply.status, reply.json["code"]) == (503, "SW-317")
        assert reply.headers["retry-after"] == "1"
    recorded = {one.prediction_id for one in home.records()}
    assert len(recorded) == len(replies) - lost
    assert len(segments(full)) >= 1
