"""Where the time of a call goes, operator by operator, as ONNX Runtime's own profiler tells it."""

import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import onnxruntime

from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study.graphs import Feed
from servewell.adapters.embedded.job.study.rows import count, part, study_rows
from servewell.adapters.embedded.job.study.trial import REQUESTS, processor
from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.ports.optimiser import NodeTime, Profile, ProfileJob, StageTime

KERNEL: Final = "_kernel_time"
RUN: Final = "model_run"
WARM_CALLS: Final = 50
SEED: Final = 0
STAGES: Final = ("decode", "gather", "infer", "encode")

Say = Callable[[int, int, str], None]
# Takes an artifact, its signature and request bodies; returns the nanoseconds of each stage of
# each call. The serving path itself is handed in: a job knows nothing of how a worker serves.
TimeStages = Callable[[bytes, Signature, Sequence[bytes], int], dict[str, list[int]]]


class _Event(msgspec.Struct):
    """One line of the profile. Source: ONNX Runtime, docs/performance/tune-performance."""

    name: str = ""
    cat: str = ""
    dur: int = 0  # microseconds
    args: dict[str, Any] = {}


def profile(job: ProfileJob, say: Say, time_stages: TimeStages) -> Profile:
    """Do a profiling job.

    Raises: StudyDataError, HeldOutRowsError.
    """
    say(0, 3, "reading the rows")
    subject = job.subject
    rows = study_rows(subject, seed=SEED)
    draw = np.random.default_rng(SEED)
    feeds = [
        part(rows.held_out, draw.integers(0, count(rows.held_out), job.rows))
        for _ in range(REQUESTS)
    ]
    data = subject.model.read_bytes()
    say(1, 3, "asking ONNX Runtime's profiler")
    calls = _faster_half(_calls(data, feeds, job.calls))
    say(2, 3, "timing the stages")
    bodies = [request_body(subject.signature, feed) for feed in feeds]
    stages = time_stages(data, subject.signature, bodies, job.calls)
    return Profile(
        rows=job.rows,
        calls=job.calls,
        run_us=sum(map(_took_us, calls)) / len(calls),
        nodes=_node_times(calls),
        stages=tuple(_stage(name, stages[name]) for name in STAGES),
        processor=processor(),
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
    )


def request_body(signature: Signature, feed: Feed) -> bytes:
    """Return a request of the Open Inference Protocol V2, in JSON, that brings these rows."""
    return msgspec.json.encode({"inputs": [_tensor(one, feed) for one in signature.inputs]})


def _tensor(one: Input, feed: Feed) -> dict[str, object]:
    array = feed[one.name]
    values = array.reshape(-1).tolist()
    if one.datatype.is_float:
        values = [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    if one.datatype is Datatype.BYTES and one.nullable:
        values = [value or None for value in values]
    return {"name": one.name, "datatype": one.datatype, "shape": list(array.shape), "data": values}


def _calls(data: bytes, feeds: Sequence[Feed], calls: int) -> list[list[_Event]]:
    """Return what the profiler tells of each of the last calls; the last event is the whole."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(data, profile_to=Path(folder) / "profile")
        for number in range(WARM_CALLS + calls):
            session.run(None, dict(feeds[number % len(feeds)]))
        written = Path(session.end_profiling())
        events = msgspec.json.decode(written.read_bytes(), type=list[_Event])
    ends = [place for place, one in enumerate(events) if one.name == RUN][-calls - 1 :]
    return [events[before + 1 : end + 1] for before, end in itertools.pairwise(ends)]


def _took_us(call: Sequence[_Event]) -> int:
    return call[-1].dur


def _faster_half(calls: list[list[_Event]]) -> list[list[_Event]]:
    """Return the calls that nothing else on the machine got in the way of."""
    return sorted(calls, key=_took_us)[: max(1, len(calls) // 2)]


def _node_times(calls: Sequence[Sequence[_Event]]) -> tuple[NodeTime, ...]:
    """Return the mean time of each operator; the profiler tells whole microseconds."""
    spent: dict[tuple[str, str], int] = {}
    for one in (event for call in calls for event in call):
        if one.cat == "Node" and one.name.endswith(KERNEL):
            key = one.name.removesuffix(KERNEL), str(one.args.get("op_name", ""))
            spent[key] = spent.get(key, 0) + one.dur
    return tuple(
        NodeTime(name=name, operator=operator, us=total / len(calls))
        for (name, operator), total in spent.items()
    )


def _stage(name: str, nanoseconds: Sequence[int]) -> StageTime:
    p50, p99 = np.quantile(nanoseconds, [0.5, 0.99]) / 1_000
    return StageTime(name=name, us_p50=float(p50), us_p99=float(p99))
