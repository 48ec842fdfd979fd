"""How far from the limit: the same loop and nginx answering a constant, and the model alone.

uv run python benchmarks/serving/limit.py --rounds 3
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Final

import model
import onnxruntime
from cases import Case, quick
from measuring import MICRO, Slot, conditions, keep, measure, sentence, table
from options import Options, begin, parser, read
from progress import Progress
from servers import Server, constant, nginx, servewell

CONNECTIONS: Final = 32
BATCHES: Final = (1, 8, 32, 128)
RUNS: Final = 2_000
SERVERS: Final = 3
STARTS_S: Final = 7.0


def main() -> None:
    """Run the benchmark and write its results."""
    given = options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        case = quick(scratch)
        alone = {rows: _alone_us(case.model, rows) for rows in BATCHES}
        slots = _slots(case, given, scratch)
    held = conditions(
        how=f"{CONNECTIONS} connections, medians of {given.rounds} round(s) of "
        f"{given.seconds:g} s, one worker."
    )
    text = [f"# The distance to the limit, {held['date']}", "", sentence(held), ""]
    text += [*_table(slots), "", "The model alone, one thread:", ""]
    rows = [[f"{count}", f"{us:.1f}", f"{us / count:.2f}"] for count, us in alone.items()]
    text += table(("rows in a call", "µs a call", "µs a row"), rows)
    keep("limit", held, {"slots": slots, "model_us": alone}, text)


def options(words: list[str] | None = None) -> Options:
    """Return what the command line says."""
    return read(parser(__doc__, rounds=3), words)


def planned_s(given: Options) -> float:
    """Return the seconds that this takes, about."""
    return 20 + given.rounds * (STARTS_S + SERVERS * given.point_s)


def _slots(case: Case, given: Options, scratch: Path) -> list[Slot]:
    starts: list[Callable[[], AbstractContextManager[Server]]] = [
        lambda: servewell(case.home, case.bodies),
        lambda: constant(case.bodies, scratch),
        lambda: nginx(case.bodies, scratch),
    ]
    progress = Progress(given.rounds * len(starts))
    slots = []
    for _ in range(given.rounds):
        for start in starts:
            with start() as server:
                times = {"seconds": given.seconds, "warmup": given.warmup}
                plan = server.plan(connections=CONNECTIONS, **times)
                slots.append(measure(server, plan, scratch))
            progress.step(f"{slots[-1].title}: {slots[-1].per_second:,.0f} requests/s")
    return slots


def _table(slots: list[Slot]) -> list[str]:
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
    return table(head, lines)


def _alone_us(file: Path, rows: int) -> float:
    """Return the microseconds of one call of the model."""
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), session_options)
    feed = {"features": model.rows(rows)}
    session.run(["probabilities"], feed)
    began = time.perf_counter()
    for _ in range(RUNS):
        session.run(["probabilities"], feed)
    return (time.perf_counter() - began) / RUNS * MICRO


if __name__ == "__main__":
    begin(main)
