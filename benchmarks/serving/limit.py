"""How far from the limit: the same loop and nginx answering a constant, and the model alone.

uv run python benchmarks/serving/limit.py --rounds 3
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Final

import model
import onnxruntime
from load import Plan
from measuring import MICRO, Slot, conditions, keep, measure, sentence, table
from servers import Server, constant, nginx
from single import Case, quick, started
from single import Options as Single

CONNECTIONS: Final = 32
WARMUP_S: Final = 1.0
BATCHES: Final = (1, 8, 32, 128)
RUNS: Final = 2_000


class Options(argparse.Namespace):
    """What the command line may say."""

    rounds: int
    seconds: float


def main() -> None:
    """Run the benchmark and write its results."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        case = quick(scratch, Single())
        alone = {rows: _alone_us(case.model, rows) for rows in BATCHES}
        slots = _slots(case, options, scratch)
    held = conditions(
        how=f"{CONNECTIONS} connections, medians of {options.rounds} rounds of "
        f"{options.seconds:g} s, one worker."
    )
    ours = [one for one in slots if one.server == "servewell"]
    lines = []
    for server in dict.fromkeys(one.server for one in slots):
        own = [one for one in slots if one.server == server]
        ratios = [a.per_second / b.per_second for a, b in zip(own, ours, strict=True)]
        lines.append(
            [
                own[0].title,
                f"{median(one.per_second for one in own):,.0f}",
                f"{median(ratios):.2f}",
                f"{median(one.cpu_us for one in own):.1f}",
                f"{median(one.measured.generator_busy for one in own):.0%}",
            ]
        )
    head = ("server", "requests/s", "x Servewell", "CPU µs/request", "generator busy")
    text = [f"# The distance to the limit, {held['date']}", "", sentence(held), ""]
    text += [*table(head, lines), "", "The model alone, one thread:", ""]
    rows = [[f"{count}", f"{us:.1f}", f"{us / count:.2f}"] for count, us in alone.items()]
    text += table(("rows in a call", "µs a call", "µs a row"), rows)
    keep("limit", held, {"slots": slots, "model_us": alone}, text)


def _slots(case: Case, options: Options, scratch: Path) -> list[Slot]:
    starts: list[Callable[[], AbstractContextManager[Server]]] = [
        lambda: started("servewell", case, Single(), scratch),
        lambda: constant(case.bodies, scratch),
        lambda: nginx(case.bodies, scratch),
    ]
    slots = []
    for _ in range(options.rounds):
        for start in starts:
            with start() as server:
                slots.append(measure(server, _plan(server, options), scratch))
    return slots


def _alone_us(file: Path, rows: int) -> float:
    """Return the microseconds of one call of the model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options)
    feed = {"features": model.rows(rows)}
    session.run(["probabilities"], feed)
    began = time.perf_counter()
    for _ in range(RUNS):
        session.run(["probabilities"], feed)
    return (time.perf_counter() - began) / RUNS * MICRO


def _plan(server: Server, options: Options) -> Plan:
    return Plan(
        port=server.port,
        path=server.path,
        headers=server.headers,
        bodies=server.bodies,
        expected=None,
        connections=CONNECTIONS,
        warmup_s=WARMUP_S,
        seconds=options.seconds,
    )


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    return parser.parse_args(namespace=Options())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
