"""A model that takes its worker with it is found out by the worker that comes after."""

import http.client
import signal
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread

import pytest
from onnx import TensorProto, helper

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.reliability.quarantine import WITHIN_S
from servewell.serving.crash_notes import CrashNotes, mark_of
from serving.home import Home, flight_model, onnx_bytes, request

PACKAGE = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4


ONE = Signature(
    inputs=(Input(name="x", datatype=Datatype.FP32),),
    outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(1,)),),
)


def died(folder: Path, package: str, *, now: float) -> None:
    """Leave what a worker leaves that dies while it runs a package."""
    CrashNotes(folder, 0, now=now).values[3] = mark_of(package)


def test_the_third_death_within_a_minute_is_one_too_many(tmp_path: Path) -> None:
    """Two deaths are held against nobody, three are, and for that package alone."""
    died(tmp_path, PACKAGE, now=100.0)
    died(tmp_path, OTHER, now=101.0)
    died(tmp_path, PACKAGE, now=102.0)
    assert CrashNotes(tmp_path, 0, now=103.0).blamed == {}
    died(tmp_path, PACKAGE, now=104.0)
    blamed = CrashNotes(tmp_path, 0, now=105.0).blamed
    assert list(blamed) == [PACKAGE[:16]]
    assert "its worker died" in blamed[PACKAGE[:16]]


def test_deaths_long_ago_count_for_nothing(tmp_path: Path) -> None:
    """A worker that dies once a minute is not the model's doing alone."""
    for place in range(6):
        died(tmp_path, PACKAGE, now=place * WITHIN_S)
    assert CrashNotes(tmp_path, 0, now=6 * WITHIN_S).blamed == {}


def test_a_worker_that_ends_well_leaves_nothing(tmp_path: Path) -> None:
    """What is cleared after a call is not read by the next worker."""
    for _ in range(5):
        notes = CrashNotes(tmp_path, 0, now=1.0)
        notes.values[notes.slot()] = mark_of(PACKAGE)
        notes.values[notes.slot()] = 0
    assert CrashNotes(tmp_path, 0, now=1.0).blamed == {}


def test_each_thread_has_a_slot_of_its_own(tmp_path: Path) -> None:
    """What one thread runs is not cleared by another."""
    notes, slots, together = CrashNotes(tmp_path, 0, now=1.0), set(), Barrier(5)

    def take() -> None:
        slots.add(notes.slot())
        together.wait()

    threads = [Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(slots) == 5


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"a": 1}'])
def test_a_damaged_list_of_deaths_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    """A note that cannot be read keeps no worker from starting."""
    (tmp_path / "deaths-0.json").write_bytes(content)
    (tmp_path / "running-0").write_bytes(b"short")
    CrashNotes(tmp_path, 0, now=1.0)


@pytest.mark.enable_socket
def test_a_model_that_kills_workers_is_put_in_quarantine(home: Home) -> None:
    """Three workers die in its calls; the fourth does not run it, says so, and serves the rest."""
    key, grant = home.key()
    # Big enough products of matrices to be caught at by a signal.
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "most"], ["square"]),
        helper.make_node("MatMul", ["square", "square"], ["once"]),
        helper.make_node("MatMul", ["once", "square"], ["twice"]),
        helper.make_node("ReduceMax", ["twice"], ["found"], keepdims=0),
        helper.make_node("Add", ["x", "found"], ["y"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1_000, 1_000])
    bad = home.deployment("bad", onnx_bytes(ONE, nodes, [shape]), signature=ONE, share_bp=0)
    good = home.deployment("good", flight_model(2.0), version=2)
    home.publish(good, bad, grants=(grant,))
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1.0]}
    ask = {"servewell-deployment": "bad"}
    for _ in range(3):
        with home.process() as worker:
            home.wait_for_snapshot()
            caller = Thread(target=_lost, args=(home, key, {"inputs": [tensor]}, ask))
            caller.start()
            while not any(_running(home.folder)):
                assert caller.is_alive()
            worker.send_signal(signal.SIGSEGV)
            worker.wait()
            caller.join()
    with home.process():
        report = home.wait_for_snapshot()
        assert [one.package for one in report.quarantined] == [bad.package]
        assert report.ready
        reply = home.send("POST", "/v2/models/flights/infer", key=key, body=request())
        assert reply.status == 200
        reply = home.send(
            "POST", "/v2/models/flights/infer", key=key, body={"inputs": [tensor]}, headers=ask
        )
        assert reply.status == 404


def _running(folder: Path) -> bytes:
    return (folder / "run" / "running-0").read_bytes()


def _lost(home: Home, key: str, body: dict[str, object], headers: dict[str, str]) -> None:
    with suppress(OSError, http.client.HTTPException):  # the worker dies of it
        home.send("POST", "/v2/models/flights/infer", key=key, body=body, headers=headers)
