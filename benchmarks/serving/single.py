"""One row a request, JSON, a closed loop: Servewell with everything on beside every peer.

uv run python benchmarks/serving/single.py --rounds 3 --seconds 4
uv run python benchmarks/serving/single.py --case flights --servers servewell fastapi-flights
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import chart
import model
import msgspec
import numpy as np
import onnxruntime
import rows
from load import Plan
from measuring import Slot, conditions, keep, measure, sentence, table
from peers import FLIGHTS, PEERS, Peer, open_inference
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from servers import Home, Server, constant, free_port, peer, servewell

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "flight-delays" / "servewell.yaml"
DIY: Final = "fastapi"
ROWS: Final = 128
WARMUP_S: Final = 1.0


class Options(argparse.Namespace):
    """What the command line may say."""

    workers: int = 1
    case: str
    rounds: int
    seconds: float
    connections: list[int]
    servers: list[str]


@dataclass(kw_only=True)
class Case:
    """What is served, and what is sent."""

    home: Home
    model: Path
    bodies: list[bytes]  # of the Open Inference Protocol
    expected: list[float]
    given: list[Any]  # rows, as the peers' `body` takes them
    peers: dict[str, Peer]


def main() -> None:
    """Run the benchmark and write its results."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        case = flights(scratch, options) if options.case == "flights" else quick(scratch, options)
        slots = list(_slots(case, options, scratch))
    held = conditions(
        how=f"Medians of {options.rounds} rounds of {options.seconds:g} s after {WARMUP_S:g} s of "
        f"warm-up; {options.workers} worker(s); every status and one answer in fifty checked.",
        case=options.case,
        workers=options.workers,
    )
    stem = f"single-{options.case}" + (f"-{options.workers}-workers" if options.workers > 1 else "")
    title = f"# One row a request, case `{options.case}`, {held['date']}"
    keep(stem, held, {"slots": slots}, [title, "", sentence(held), "", *_tables(slots)])
    chart.lines(slots, Path(__file__).parent / "results" / f"{held['date']}-{stem}.png")


def quick(scratch: Path, options: Options) -> Case:
    """Return the case of 30 numbers in one tensor."""
    folder = model.write(scratch / "models")["quick"]
    home = Home(
        folder=scratch / "home",
        workload=folder / "servewell.yaml",
        port=free_port(),
        workers=options.workers,
    )
    given = [row.reshape(1, -1) for row in model.rows(ROWS)]
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    answers = [session.run(["probabilities"], {"features": row})[0] for row in given]
    return Case(
        home=home,
        model=folder / "model.onnx",
        bodies=[msgspec.json.encode(open_inference(row)) for row in given],
        expected=[float(one[0][1]) for one in answers],
        given=given,
        peers=PEERS,
    )


def flights(scratch: Path, options: Options) -> Case:
    """Return the case of 15 named tensors of three types, some null."""
    home = Home(
        folder=scratch / "home", workload=EXAMPLE, port=free_port(), workers=options.workers
    )
    home.up()
    home.json("down")
    held_out = rows.held_out(ROWS)
    return Case(
        home=home,
        model=home.model(),
        bodies=[rows.open_inference(row).encode() for row in held_out],
        expected=rows.answers(held_out, home.model()),
        given=held_out,
        peers={FLIGHTS.name: FLIGHTS},
    )


def _slots(case: Case, options: Options, scratch: Path) -> Iterator[Slot]:
    """Yield the measurements: each round starts every server afresh, in another order."""
    names = [one for one in options.servers if one in ("servewell", "constant", *case.peers)]
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        total = options.rounds * len(names) * len(options.connections)
        task = progress.add_task("", total=total)
        for turn in range(options.rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                with started(name, case, options, scratch) as server:
                    for count in options.connections:
                        yield measure(server, _plan(server, case, count, options), scratch)
                        progress.advance(task)


def started(
    name: str, case: Case, options: Options, scratch: Path
) -> AbstractContextManager[Server]:
    """Return a server that is to be started."""
    if name == "servewell":
        return servewell(case.home, case.bodies)
    if name == "constant":
        return constant(case.bodies, scratch)
    one = case.peers[name]
    bodies = [msgspec.json.encode(one.body(row)) for row in case.given]
    return peer(one, bodies, case.model, scratch, workers=options.workers)


def _plan(server: Server, case: Case, connections: int, options: Options) -> Plan:
    return Plan(
        port=server.port,
        path=server.path,
        headers=server.headers,
        bodies=server.bodies,
        expected=None if server.name == "constant" else case.expected,
        connections=connections,
        warmup_s=WARMUP_S,
        seconds=options.seconds,
    )


def _tables(slots: list[Slot]) -> list[str]:
    counts = sorted({one.connections for one in slots})
    names = list(dict.fromkeys(one.server for one in slots))
    diy = next((name for name in names if name.startswith(DIY)), names[0])
    text: list[str] = []
    for count in counts:
        ours = _of(slots, diy, count)
        lines = [_line(_of(slots, name, count), ours) for name in names]
        lines.sort(key=lambda line: -float(line[1].replace(",", "")))
        text += [f"## {count} connection{'s' if count > 1 else ''}", "", *table(_HEAD, lines), ""]
    starts = [[_of(slots, n, counts[0])[0].title, f"{_mid(slots, n):.1f} s"] for n in names]
    return [*text, "## Cold start", "", *table(("server", "command to first answer"), starts)]


_HEAD: Final = (
    "server",
    "requests/s",
    "x DIY (least to most)",
    "p50 ms",
    "p99 ms",
    "CPU µs/request, answering (all)",
    "memory MB, answering (all)",
    "generator busy",
)


def _line(own: list[Slot], diy: list[Slot]) -> list[str]:
    ratios = [a.per_second / b.per_second for a, b in zip(own, diy, strict=True)]
    return [
        own[0].title,
        f"{median(one.per_second for one in own):,.0f}",
        f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        f"{median(one.measured.p50_us for one in own) / 1e3:.2f}",
        f"{median(one.measured.p99_us for one in own) / 1e3:.2f}",
        f"{median(one.cpu_us for one in own):.0f} ({median(one.cpu_all_us for one in own):.0f})",
        (
            f"{median(one.memory_mb for one in own):.0f} "
            f"({median(one.memory_all_mb for one in own):.0f})"
        ),
        f"{median(one.measured.generator_busy for one in own):.0%}",
    ]


def _of(slots: list[Slot], server: str, connections: int) -> list[Slot]:
    return [one for one in slots if (one.server, one.connections) == (server, connections)]


def _mid(slots: list[Slot], server: str) -> float:
    return float(np.median([one.start_s for one in slots if one.server == server]))


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=("quick", "flights"), default="quick")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 64, 256])
    parser.add_argument("--workers", type=int, default=1)
    known = ["servewell", *PEERS, FLIGHTS.name, "constant"]
    parser.add_argument("--servers", nargs="+", choices=known, default=known)
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
