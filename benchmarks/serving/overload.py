"""More load than can be carried: good answers a second at 0.5 to 5 times the capacity, open loop.

    uv run python benchmarks/serving/overload.py --seconds 6

The model is the heavy one, so that the generator can offer five times what a server can carry.
With `--model quick` the loop of the server is what is too slow, and refusals compete with answers
for it; then `generator busy` says what the figures are worth.

Callers do as real ones do: there are more of them than a server answers at once, and each gives up
when its request is not answered in time, and closes its connection.
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
HEAVY: Final = "heavy"
ROWS: Final = 64
WARMUP_S: Final = 2.0
CAPACITY_CONNECTIONS: Final = 128  # enough for the batches that it forms when pressed
CONNECTIONS: Final = 1_024
PATIENCE: Final = 5.0  # times as long as is good, after which a caller gives up


class Options(argparse.Namespace):
    """What the command line may say."""

    seconds: float
    servers: list[str]
    model: str
    good_within_ms: float


def main() -> None:
    """Run the benchmark and write its results."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        slots = list(_slots(options, Path(name)))
    held = conditions(
        how=f"Open loop over {CONNECTIONS} connections, {options.seconds:g} s a rate after "
        f"{WARMUP_S:g} s of warm-up, one worker, the {options.model} model. An answer is good when "
        f"it comes within {options.good_within_ms:g} ms of when its request was due; a caller "
        f"gives up after {PATIENCE * options.good_within_ms:g} ms. The capacity of each "
        f"server is what it carries in a closed loop of {CAPACITY_CONNECTIONS} connections."
    )
    text = [f"# Overload, {held['date']}", "", sentence(held), ""]
    for server in dict.fromkeys(one.server for one in slots):
        text += _table([one for one in slots if one.server == server])
    stem = "overload" if options.model == HEAVY else f"overload-{options.model}"
    keep(stem, held, {"slots": slots}, text)
    open_loop = [one for one in slots if one.factor]
    chart.overload(open_loop, Path(__file__).parent / "results" / f"{held['date']}-{stem}.png")


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
    folder = model.write(scratch / "models")[options.model]
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
        refusals=True,
        timeout_s=PATIENCE * options.good_within_ms / 1e3 if rate else 0.0,
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
            f"{one.measured.abandoned:,}",
            f"{one.measured.unsent:,}",
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
        "given up",
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
    parser.add_argument("--model", choices=(HEAVY, "quick"), default=HEAVY)
    known = ["servewell", *PEERS]
    default = ["servewell", "fastapi"]
    parser.add_argument("--servers", nargs="+", choices=known, default=default)
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
