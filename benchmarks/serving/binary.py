"""Batches of 128 rows, binary and JSON, beside ONNX Runtime alone and peers that take batches.

uv run python benchmarks/serving/binary.py --rounds 3 --seconds 4
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Final

import model
import msgspec
import numpy as np
import onnxruntime
from load import Plan
from measuring import Slot, conditions, keep, measure, sentence, table
from peers import PEERS, binary_open_inference, open_inference
from servers import Home, Server, free_port, peer, servewell

BATCH: Final = 128
BODIES: Final = 16
WARMUP_S: Final = 1.0
CONNECTIONS: Final = 8


class Options(argparse.Namespace):
    """What the command line may say."""

    rounds: int
    seconds: float
    servers: list[str]


def main() -> None:
    """Run the benchmark and write its results."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        slots, alone = _run(options, scratch)
    held = conditions(
        how=f"{BATCH} rows a request, {CONNECTIONS} connections, medians of {options.rounds} "
        f"rounds of {options.seconds:g} s after {WARMUP_S:g} s of warm-up, one worker."
    )
    limit = median(alone)
    names = list(dict.fromkeys(one.server for one in slots))
    lines = [["ONNX Runtime alone, one thread, no server", f"{limit * BATCH:,.0f}", "100%", "", ""]]
    for server in names:
        own = [one for one in slots if one.server == server]
        speed = median(one.per_second for one in own)
        lines.append(
            [
                own[0].title,
                f"{speed * BATCH:,.0f}",
                f"{speed / limit:.0%}",
                f"{median(one.measured.p99_us for one in own) / 1e3:.1f}",
                f"{median(one.cpu_us for one in own):.0f}",
            ]
        )
    lines.sort(key=lambda line: -float(line[1].replace(",", "")))
    head = ("server", "rows/s", "of ONNX Runtime alone", "p99 ms", "CPU µs/request, answering")
    title = f"# Batches of {BATCH} rows, {held['date']}"
    data = {"slots": slots, "alone_per_second": alone}
    keep("binary", held, data, [title, "", sentence(held), "", *table(head, lines)])


def _run(options: Options, scratch: Path) -> tuple[list[Slot], list[float]]:
    folder = model.write(scratch / "models")["quick"]
    home = Home(folder=scratch / "home", workload=folder / "servewell.yaml", port=free_port())
    batches = [np.roll(model.rows(BATCH), -shift, axis=0) for shift in range(BODIES)]
    file = folder / "model.onnx"
    session = onnxruntime.InferenceSession(str(file))
    wanted = [float(session.run(["probabilities"], {"features": b})[0][0][1]) for b in batches]
    slots, alone = [], []
    for _ in range(options.rounds):
        alone.append(_alone(file, batches, options.seconds))
        for server in _servers(options, home, batches, file, scratch):
            with server as running:
                slots.append(measure(running, _plan(running, wanted, options), scratch))
    return slots, alone


def _alone(file: Path, batches: list[np.ndarray], seconds: float) -> float:
    """Return the runs a second of the model itself, with the options of a worker."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options)
    runs, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        session.run(["probabilities"], {"features": batches[runs % len(batches)]})
        runs += 1
    return runs / seconds


def _servers(
    options: Options, home: Home, batches: list[np.ndarray], file: Path, scratch: Path
) -> Iterator[AbstractContextManager[Server]]:
    packed = [binary_open_inference(batch) for batch in batches]
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(packed[0][1]),
    }
    as_json = [msgspec.json.encode(open_inference(batch)) for batch in batches]
    if "servewell" in options.servers:
        bodies = [body for body, _ in packed]
        with servewell(home, bodies, headers, title="Servewell, binary") as binary:
            binary.name = "servewell-binary"
            yield nullcontext(binary)
        with servewell(home, as_json, title="Servewell, JSON") as plain:
            plain.name = "servewell-json"
            yield nullcontext(plain)
    for name in options.servers:
        one = PEERS.get(name)
        if one is not None and one.batches:
            bodies = [msgspec.json.encode(one.body(batch)) for batch in batches]
            yield peer(one, bodies, file, scratch, path=one.batch_path)
    if "pytriton" in options.servers:
        yield _binary_peer("pytriton", packed, headers, file, scratch)


def _binary_peer(
    name: str, packed: list[tuple[bytes, int]], headers: dict[str, str], file: Path, scratch: Path
) -> AbstractContextManager[Server]:
    """Return a peer that takes binary tensors."""
    one = PEERS[name]

    class Binary:
        """Starts it with JSON, then speaks binary to it."""

        def __enter__(self) -> Server:
            json_body = [msgspec.json.encode(one.body(model.rows(BATCH)))]
            self.running = peer(one, json_body, file, scratch)
            server = self.running.__enter__()
            server.name, server.title = f"{name}-binary", f"{one.title}, binary"
            server.bodies, server.headers = [body for body, _ in packed], headers
            return server

        def __exit__(self, *error: object) -> None:
            self.running.__exit__(None, None, None)

    return Binary()


def _plan(server: Server, wanted: list[float], options: Options) -> Plan:
    return Plan(
        port=server.port,
        path=server.path,
        headers=server.headers,
        bodies=server.bodies,
        expected=wanted,
        connections=CONNECTIONS,
        warmup_s=WARMUP_S,
        seconds=options.seconds,
    )


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    known = ["servewell", *(name for name, one in PEERS.items() if one.batches)]
    parser.add_argument("--servers", nargs="+", choices=known, default=known)
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
