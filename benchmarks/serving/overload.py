"""More load than can be carried: good answers a second at 0.5 to 5 times the capacity, open loop.

    uv run python benchmarks/serving/overload.py --seconds 6

The model is the heavy one, so that the generator can offer five times what a server can carry.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import chart
import model
import msgspec
from load import Plan
from measuring import Slot, conditions, keep, measure, sentence, table
from peers import PEERS, open_inference
from servers import Home, Server, free_port, peer, servewell

FACTORS: Final = (0.5, 1.0, 2.0, 3.0, 5.0)
ROWS: Final = 64
WARMUP_S: Final = 2.0
CAPACITY_CONNECTIONS: Final = 32
CONNECTIONS: Final = 256


class Options(argparse.Namespace):
    """What the command line may say."""

    seconds: float
    servers: list[str]
    good_within_ms: float


def main() -> None:
    """Run the benchmark and write its results."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        slots = list(_slots(options, Path(name)))
    held = conditions(
        how=f"Open loop over {CONNECTIONS} connections, {options.seconds:g} s a rate after "
        f"{WARMUP_S:g} s of warm-up, one worker, the heavy model. An answer is good when it comes "
        f"within {options.good_within_ms:g} ms of when its request was due. The capacity of each "
        f"server is what it carries in a closed loop of {CAPACITY_CONNECTIONS} connections."
    )
    text = [f"# Overload, {held['date']}", "", sentence(held), ""]
    for server in dict.fromkeys(one.server for one in slots):
        text += _table([one for one in slots if one.server == server])
    keep("overload", held, {"slots": slots}, text)
    open_loop = [one for one in slots if one.factor]
    chart.overload(open_loop, Path(__file__).parent / "results" / f"{held['date']}-overload.png")


def _slots(options: Options, scratch: Path) -> Iterator[Slot]:
    for server in _servers(options, scratch):
        with server as running:
            closed = measure(running, _plan(running, options), scratch)
            yield closed
            for factor in FACTORS:
                rate = factor * closed.per_second
                plan = _plan(running, options, rate=rate)
                yield measure(running, plan, scratch, factor=factor)


def _servers(options: Options, scratch: Path) -> Iterator[AbstractContextManager[Server]]:
    folder = model.write(scratch / "models")["heavy"]
    given = [row.reshape(1, -1) for row in model.rows(ROWS)]
    if "servewell" in options.servers:
        home = Home(
            folder=scratch / "home",
            workload=folder / "servewell.yaml",
            port=free_port(),
            settings=(f"endpoint.latency_objective_ms={options.good_within_ms:g}",),
        )
        yield servewell(home, [msgspec.json.encode(open_inference(row)) for row in given])
    for name in options.servers:
        if name in PEERS:
            bodies = [msgspec.json.encode(PEERS[name].body(row)) for row in given]
            yield peer(PEERS[name], bodies, folder / "model.onnx", scratch)


def _plan(server: Server, options: Options, *, rate: float = 0.0) -> Plan:
    return Plan(
        port=server.port,
        path=server.path,
        headers=server.headers,
        bodies=server.bodies,
        expected=None,
        connections=CONNECTIONS if rate else CAPACITY_CONNECTIONS,
        warmup_s=WARMUP_S,
        seconds=options.seconds,
        rate=rate,
        refusals=bool(rate),
        good_within_s=options.good_within_ms / 1e3,
    )


def _table(own: list[Slot]) -> list[str]:
    closed, *opened = own
    peak = max(one.measured.good / one.measured.seconds for one in opened)
    lines = [
        [
            f"{one.factor:g} x",
            f"{one.factor * closed.per_second:,.0f}",
            f"{one.measured.good / one.measured.seconds:,.0f}",
            f"{one.measured.good / one.measured.seconds / peak:.0%}",
            f"{one.measured.p99_us / 1e3:.1f}",
            ", ".join(f"{count:,} x {status}" for status, count in one.measured.statuses.items()),
            f"{one.measured.unanswered:,}",
            f"{one.measured.generator_busy:.0%}",
        ]
        for one in opened
    ]
    head = (
        "offered",
        "requests/s",
        "good/s",
        "of the peak",
        "p99 of 200s, ms",
        "answers",
        "never sent",
        "generator busy",
    )
    capacity = (
        f"Capacity {closed.per_second:,.0f} requests/s, p99 {closed.measured.p99_us / 1e3:.1f} ms."
    )
    return [f"## {closed.title}", "", capacity, "", *table(head, lines), ""]


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--good-within-ms", type=float, default=100.0)
    known = ["servewell", *PEERS]
    default = ["servewell", "fastapi"]
    parser.add_argument("--servers", nargs="+", choices=known, default=default)
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
