"""Latency at half of each server's capacity, open loop: from when a request was due.

uv run python benchmarks/serving/latency.py --servers servewell fastapi pytriton
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from load import Plan
from measuring import Slot, conditions, keep, measure, sentence, table
from peers import PEERS
from servers import Server
from single import Case, quick, started
from single import Options as Single

CAPACITY_CONNECTIONS: Final = 32
CONNECTIONS: Final = 64
WARMUP_S: Final = 1.0
HALF: Final = 0.5


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
        of_single = Single()
        case = quick(scratch, of_single)
        slots = []
        for _ in range(options.rounds):
            for server in options.servers:
                with started(server, case, of_single, scratch) as running:
                    slots += _both(running, case, options, scratch)
    held = conditions(
        how=f"Open loop at half of what each carries in a closed loop of {CAPACITY_CONNECTIONS} "
        f"connections; medians of {options.rounds} rounds of {options.seconds:g} s."
    )
    lines = []
    for server in options.servers:
        own = [one for one in slots if one.server == server and one.factor]
        lines.append(
            [
                own[0].title,
                f"{median(one.per_second for one in own):,.0f}",
                f"{median(one.measured.p50_us for one in own) / 1e3:.2f}",
                f"{median(one.measured.p99_us for one in own) / 1e3:.2f}",
            ]
        )
    head = ("server", "requests/s", "p50 ms", "p99 ms")
    title = f"# Latency at half of the capacity, {held['date']}"
    keep("latency", held, {"slots": slots}, [title, "", sentence(held), "", *table(head, lines)])


def _both(server: Server, case: Case, options: Options, scratch: Path) -> list[Slot]:
    closed = measure(server, _plan(server, case, options), scratch)
    plan = _plan(server, case, options, rate=HALF * closed.per_second)
    return [closed, measure(server, plan, scratch, factor=HALF)]


def _plan(server: Server, case: Case, options: Options, *, rate: float = 0.0) -> Plan:
    return Plan(
        port=server.port,
        path=server.path,
        headers=server.headers,
        bodies=server.bodies,
        expected=case.expected,
        connections=CONNECTIONS if rate else CAPACITY_CONNECTIONS,
        warmup_s=WARMUP_S,
        seconds=options.seconds,
        rate=rate,
    )


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    known = ["servewell", *PEERS]
    default = ["servewell", "fastapi", "pytriton", "mlserver", "kserve"]
    parser.add_argument("--servers", nargs="+", choices=known, default=default)
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
