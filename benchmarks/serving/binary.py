"""Batches of 128 rows, binary and JSON, beside ONNX Runtime alone and peers that take batches.

uv run python benchmarks/serving/binary.py --rounds 3 --seconds 4
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import model
import msgspec
import numpy as np
import onnxruntime
from measuring import Slot, conditions, keep, left_out, measure, sentence, table
from options import Options, begin, parser, read
from peers import BINARY_PEERS, PEERS, Peer, binary_open_inference, open_inference
from progress import Progress
from servers import FailedError, Home, Server, free_port, peer, servewell

OURS: Final = "servewell"
BATCH: Final = 128
BODIES: Final = 16
CONNECTIONS: Final = 8
STARTS_S: Final = 100.0  # that all servers together take to start and to stop


def main() -> None:
    """Run the benchmark and write its results."""
    given = options()
    with tempfile.TemporaryDirectory() as name:
        slots, alone, failed = _run(given, Path(name))
    held = conditions(
        how=f"{BATCH} rows a request, {CONNECTIONS} connections, medians of {given.rounds} "
        f"round(s) of {given.seconds:g} s after {given.warmup:g} s of warm-up, one worker."
    )
    title = f"# Batches of {BATCH} rows, {held['date']}"
    data = {"slots": slots, "alone_per_second": alone}
    text = [title, "", sentence(held), "", *left_out(failed), *_table(slots, median(alone))]
    keep("binary", held, data, text)


def options(words: list[str] | None = None) -> Options:
    """Return what the command line says."""
    made = parser(__doc__, rounds=3)
    known = [OURS, *(name for name, one in PEERS.items() if one.batches)]
    made.add_argument("--servers", nargs="+", choices=known, default=known)
    return read(made, words)


def planned_s(given: Options) -> float:
    """Return the seconds that this takes, about."""
    points = len(given.servers) + 3  # ours and two peers twice
    return 15 + given.rounds * (STARTS_S + given.seconds + points * given.point_s)


@dataclass(kw_only=True)
class Batches:
    """What is served and sent."""

    home: Home
    file: Path
    rows: list[np.ndarray]
    expected: list[float]


def _run(given: Options, scratch: Path) -> tuple[list[Slot], list[float], dict[str, str]]:
    """Return the measurements, those of the model alone, and why servers are missing."""
    folder = model.write(scratch / "models")["quick"]
    rows = [np.roll(model.rows(BATCH), -shift, axis=0) for shift in range(BODIES)]
    session = _session(folder / "model.onnx")
    batches = Batches(
        home=Home(folder=scratch / "home", workload=folder / "servewell.yaml", port=free_port()),
        file=folder / "model.onnx",
        rows=rows,
        expected=[float(session.run([WANTED], {"features": one})[0][0][1]) for one in rows],
    )
    progress = Progress(given.rounds * len(list(_servers(given, batches, scratch))))
    slots: list[Slot] = []
    alone: list[float] = []
    failed: dict[str, str] = {}
    for _ in range(given.rounds):
        alone.append(_alone(session, rows, given.seconds))
        for name, start in _servers(given, batches, scratch):
            if name in failed:
                continue
            try:
                slots.append(_measured(start, batches, given, scratch))
            except FailedError as error:
                if name.startswith(OURS):
                    raise
                failed[name] = str(error)
                continue
            progress.step(f"{slots[-1].title}: {slots[-1].per_second * BATCH:,.0f} rows/s")
    return [one for one in slots if one.server not in failed], alone, failed


def _measured(
    start: AbstractContextManager[Server], batches: Batches, given: Options, scratch: Path
) -> Slot:
    with start as server:
        server.expected = batches.expected
        plan = server.plan(connections=CONNECTIONS, seconds=given.seconds, warmup=given.warmup)
        return measure(server, plan, scratch)


WANTED: Final = "probabilities"


def _session(file: Path) -> onnxruntime.InferenceSession:
    options_ = onnxruntime.SessionOptions()
    options_.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options_)


def _alone(session: onnxruntime.InferenceSession, rows: list[np.ndarray], seconds: float) -> float:
    """Return the runs a second of the model itself, with the options of a worker."""
    runs, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        session.run([WANTED], {"features": rows[runs % len(rows)]})
        runs += 1
    return runs / seconds


def _servers(
    given: Options, batches: Batches, scratch: Path
) -> Iterator[tuple[str, AbstractContextManager[Server]]]:
    """Yield the servers, each under the name that it has in the results, to be started."""
    packed = [binary_open_inference(one) for one in batches.rows]
    binary, head = [body for body, _ in packed], packed[0][1]
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(head),
    }
    if OURS in given.servers:
        plain = [msgspec.json.encode(open_inference(one)) for one in batches.rows]
        home = batches.home
        yield _as(f"{OURS}-binary", servewell(home, binary, headers, title="Servewell, binary"))
        yield _as(f"{OURS}-json", servewell(home, plain, title="Servewell, JSON"))
    for name in given.servers:
        if name in PEERS:
            yield _as(f"{name}-json", _peer(PEERS[name], batches, scratch))
        if name in BINARY_PEERS:
            start = _speaking(_peer(BINARY_PEERS[name], batches, scratch), binary, headers)
            yield _as(f"{name}-binary", start)


def _peer(one: Peer, batches: Batches, scratch: Path) -> AbstractContextManager[Server]:
    bodies = [msgspec.json.encode(one.body(rows)) for rows in batches.rows]
    return peer(one, bodies, batches.file, scratch, path=one.batch_path)


def _as(
    name: str, start: AbstractContextManager[Server]
) -> tuple[str, AbstractContextManager[Server]]:
    return name, _named(name, start)


@contextmanager
def _named(name: str, start: AbstractContextManager[Server]) -> Iterator[Server]:
    with start as server:
        server.name = name
        yield server


@contextmanager
def _speaking(
    start: AbstractContextManager[Server], bodies: list[bytes], headers: dict[str, str]
) -> Iterator[Server]:
    """Start a peer with JSON, then speak binary to it."""
    with start as server:
        yield replace(server, title=f"{server.title}, binary", bodies=bodies, headers=headers)


def _table(slots: list[Slot], limit: float) -> list[str]:
    lines = [["ONNX Runtime alone, one thread, no server", f"{limit * BATCH:,.0f}", "100%"]]
    lines[0] += ["", "", ""]
    for server in dict.fromkeys(one.server for one in slots):
        own = [one for one in slots if one.server == server]
        speed = median(one.per_second for one in own)
        lines.append(
            [
                own[0].title,
                f"{speed * BATCH:,.0f}",
                f"{speed / limit:.0%}",
                f"{median(one.measured.p50_us for one in own) / 1e3:.1f}",
                f"{median(one.measured.p99_us for one in own) / 1e3:.1f}",
                f"{median(o.cpu_us for o in own):.0f} ({median(o.cpu_all_us for o in own):.0f})",
            ]
        )
    lines.sort(key=lambda line: -float(line[1].replace(",", "")))
    head = ("server", "rows/s", "of ONNX Runtime alone", "p50 ms", "p99 ms")
    return table((*head, "CPU µs/request, answering (all)"), lines)


if __name__ == "__main__":
    begin(main)
