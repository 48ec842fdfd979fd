"""Measure Servewell, with everything on, beside FastAPI with nothing on, in one run.

    uv run python benchmarks/serving/run.py --rounds 5 --seconds 5

See README.md for what is compared, how to read the result, and what it cannot say.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import report
import rows
from load import Measured, Plan
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from servers import ENDPOINT, Home, Server, constant, free_port, metrics, peer, servewell

HERE: Final = Path(__file__).parent
WARMUP_S: Final = 1.0
REQUESTS_MAX: Final = 5_000_000
RECORDS_LOOKED_AT: Final = 1_000


class Options(argparse.Namespace):
    """What the command line may say."""

    rounds: int
    seconds: float
    connections: list[int]
    rows: int
    home: Path | None
    output: Path


def main() -> None:
    """Run the benchmark and write its results."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        home = Home(folder=options.home or Path(scratch) / "home", port=free_port())
        servers, operator_key, expected = _start(home, options, Path(scratch), running)
        slots = []
        with _progress(options, servers) as advance:
            for name, connections in _order(options, list(servers)):
                server = servers[name]
                plan = _plan(server, connections, options, expected)
                with _awake(server):
                    before = metrics(server, operator_key) if name == "servewell" else {}
                    slot = _measure(server, plan, Path(scratch))
                    if before:
                        slot.counters = _difference(metrics(server, operator_key), before)
                        slot.stages_us = home.stages_us(RECORDS_LOOKED_AT)
                slots.append(slot)
                advance()
        starts = {
            name: report.Start(start_s=server.start_s, back_s=server.back_s)
            for name, server in servers.items()
        }
    written = report.write(slots, starts, _conditions(options), options.output)
    sys.stdout.write(written.read_text())


def _start(
    home: Home, options: Options, scratch: Path, running: ExitStack
) -> tuple[dict[str, Server], str, list[float]]:
    """Train the model where it is not yet, and start all three servers."""
    sys.stdout.write("servewell up: trains the model in a fresh home, some half a minute\n")
    home.up()
    operator_key, model = home.key("operator"), home.model()
    home.json("down")
    held_out = rows.held_out(options.rows)
    oip = [rows.open_inference(row) for row in held_out]
    flat = [rows.flat(row) for row in held_out]
    servers = {
        "servewell": running.enter_context(servewell(home, oip)),
        "fastapi": running.enter_context(peer(flat, scratch, model)),
        "limit": running.enter_context(constant(oip, scratch)),
    }
    for server in servers.values():
        server.pause()
    return servers, operator_key, rows.answers(held_out, model)


def _order(options: Options, names: list[str]) -> Iterator[tuple[str, int]]:
    """Yield what is measured next: rounds interleave the servers, each time in another order."""
    for turn in range(options.rounds):
        for place, connections in enumerate(options.connections):
            shift = (turn + place) % len(names)
            for name in names[shift:] + names[:shift]:
                yield name, connections


@contextmanager
def _awake(server: Server) -> Iterator[None]:
    """Let one server run; all stand still unless it is their turn."""
    server.resume()
    try:
        yield
    finally:
        server.pause()


def _plan(server: Server, connections: int, options: Options, expected: list[float]) -> Plan:
    return Plan(
        port=server.port,
        path=server.path,
        headers=server.headers,
        bodies=server.bodies,
        expected=expected if server.checked else None,
        connections=connections,
        warmup_s=WARMUP_S,
        seconds=options.seconds,
        requests_max=REQUESTS_MAX,
    )


def _measure(server: Server, plan: Plan, scratch: Path) -> report.Slot:
    """Run the generator; read the processes of the server when it begins and when it ends."""
    file = scratch / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    command = [sys.executable, str(HERE / "load.py"), str(file)]
    turn = sum(server.cpu_s())
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdout is not None  # noqa: S101 - it was asked for
        generator.stdout.readline()
        before = server.cpu_s()[0]
        generator.stdout.readline()
        after, memory_mb = server.cpu_s()[0], server.memory_mb()
        measured = msgspec.json.decode(generator.stdout.readline(), type=Measured)
    if measured.wrong:
        sys.exit(f"{server.name}, {plan.connections} connections: {measured.wrong}")
    return report.Slot(
        server=server.name,
        connections=plan.connections,
        measured=measured,
        cpu_s=after - before,
        turn_cpu_s=sum(server.cpu_s()) - turn,
        memory_mb=memory_mb,
    )


def _difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if f'endpoint="{ENDPOINT}"' in name or name.startswith("servewell_records")
    }


@contextmanager
def _progress(options: Options, servers: dict[str, Server]) -> Iterator[Callable[[], None]]:
    total = options.rounds * len(options.connections) * len(servers)
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


def _conditions(options: Options) -> report.Conditions:
    return report.Conditions(
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        rounds=options.rounds,
        seconds=options.seconds,
        warmup_s=WARMUP_S,
        rows=options.rows,
        **report.machine(),
    )


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds; medians are taken over them")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--rows", type=int, default=512, help="different rows that are sent")
    parser.add_argument("--home", type=Path, help="home to use and keep; default: a fresh one")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder of results")
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
