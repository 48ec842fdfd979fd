"""What each protection costs: processor time of a worker for one row, with and without it.

uv run python benchmarks/serving/protections.py --rounds 5 --seconds 2 --warmup 0.5

Workers with everything on, without one protection each, and without any (`stripped.py`) run side
by side, and are measured in turn over real sockets. Differences are taken within each round; the
interval is of their median, by bootstrap.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import chart
import msgspec
import numpy as np
from cases import Case, quick
from measuring import RESULTS, Slot, conditions, keep, measure, sentence, table
from options import Options, begin, parser, read
from progress import Progress
from servers import Server, stripped

CONNECTIONS: Final = 32
STARTS_S: Final = 20.0
Worker = tuple[tuple[str, ...], bool]  # what it is without, and whether it speaks TLS
DRAWS: Final = 10_000
BOUND_US: Final = 25.0
PLENTY: Final = 10**9  # a limit that is looked at, and never met
LIMITS: Final = ("requests_per_s", "rows_per_s", "requests_per_day", "rows_per_day")
PIECES: Final = {
    "key": "who calls, and whether they may",
    "limits": "rate limits and quotas of the key and of the endpoint",
    "deadline": "deadline, priority, and the guard over calls that hang",
    "admission": "bounded queue, load shedding",
    "validation": "holding the inputs to the signature",
    "quarantine": "notes of what runs, to blame a model that kills its worker",
    "records": "prediction record on disk before the answer",
    "metrics": "metrics",
    "tracing": "sampling, slow and failed requests, exemplars",
}
BASE: Final = "all"
NONE: Final = "none"
TLS: Final = "tls"
TRACED: Final = "traced"
FULL: Final = "full"
TOLD: Final = {
    BASE: "everything on",
    NONE: "without any",
    TLS: "with TLS too",
    TRACED: "with trace contexts too",
    FULL: "with TLS and trace contexts too",
}
BASES: Final = 3  # measurements of the worker with everything on, in each round


class Cost(msgspec.Struct, kw_only=True):
    """What something costs, in microseconds of the processor a request."""

    name: str
    about: str
    us: float
    least: float  # of the 95 % interval
    most: float


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way in which a worker is asked."""

    name: str
    without: tuple[str, ...] = ()
    tls: bool = False
    traced: bool = False

    @property
    def worker(self) -> Worker:
        """Return which worker that is."""
        return self.without, self.tls


VARIANTS: Final = (
    *(Variant(name=BASE) for _ in range(BASES)),
    *(Variant(name=one, without=(one,)) for one in PIECES),
    Variant(name=NONE, without=tuple(PIECES)),
    Variant(name=TLS, tls=True),
    Variant(name=TRACED, traced=True),
    Variant(name=FULL, tls=True, traced=True),
)


def main() -> None:
    """Run the benchmark and write its results."""
    given = options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        slots = list(_slots(quick(scratch), given, scratch))
    held = conditions(
        how=f"One worker process alone, {CONNECTIONS} connections, {given.rounds} round(s) of "
        f"{given.seconds:g} s after {given.warmup:g} s of warm-up."
    )
    costs = _costs(slots, given.rounds)
    picture = RESULTS / f"{held['date']}-protections.png"
    text = [
        f"# What protections cost, {held['date']}",
        "",
        sentence(held),
        "",
        *_text(costs, slots),
    ]
    keep("protections", held, {"costs": costs, "slots": slots}, [*text, f"![]({picture.name})"])
    chart.costs([(one.about, one.us, one.least, one.most) for one in costs], picture)


def options(words: list[str] | None = None) -> Options:
    """Return what the command line says."""
    return read(parser(__doc__, rounds=5), words)


def planned_s(given: Options) -> float:
    """Return the seconds that this takes, about."""
    return 15 + given.rounds * (STARTS_S + len(VARIANTS) * given.point_s)


def _slots(case: Case, given: Options, scratch: Path) -> Iterator[Slot]:
    """Yield the measurements: each round starts every worker afresh, and asks in another order."""
    case.home.settings = tuple(f"endpoint.limits.{one}={PLENTY}" for one in LIMITS)
    case.home.keys.clear()
    case.home.up()
    case.home.key("invoker", *(f"--{one.replace('_', '-')}={PLENTY}" for one in LIMITS))
    case.home.down()
    draw = np.random.default_rng(0)
    progress = Progress(given.rounds * len(VARIANTS))
    for _ in range(given.rounds):
        with ExitStack() as stack:
            workers = _workers(case, stack, scratch)
            for place in draw.permutation(len(VARIANTS)):
                slot = _measured(workers, VARIANTS[place], given, scratch)
                progress.step(f"{_told(slot.server)}: {slot.cpu_us:.1f} CPU µs a request")
                yield slot


def _workers(case: Case, stack: ExitStack, scratch: Path) -> dict[Worker, Server]:
    """Return the workers of all variants, which run until the stack is closed."""
    workers: dict[Worker, Server] = {}
    for without, tls in dict.fromkeys(one.worker for one in VARIANTS):
        start = stripped(case.home, case.bodies, scratch, without=without, tls=tls)
        workers[without, tls] = server = stack.enter_context(start)
        server.expected = case.expected
    return workers


def _told(name: str) -> str:
    return f"without {name}" if name in PIECES else TOLD[name]


def _measured(workers: dict[Worker, Server], one: Variant, given: Options, scratch: Path) -> Slot:
    server = workers[one.worker]
    plan = server.plan(
        connections=CONNECTIONS, seconds=given.seconds, warmup=given.warmup, traced=one.traced
    )
    slot = measure(server, plan, scratch)
    slot.server = one.name
    return slot


def _costs(slots: list[Slot], rounds: int) -> list[Cost]:
    """Return the cost of each piece, then of all together."""
    us: dict[str, list[float]] = {}
    for name in dict.fromkeys(one.name for one in VARIANTS):
        own = [one.cpu_us for one in slots if one.server == name]
        us[name] = [median(part) for part in np.array_split(own, rounds)]
    found = [_cost(one, about, us[BASE], us[one]) for one, about in PIECES.items()]
    found.append(_cost(NONE, "all of these together", us[BASE], us[NONE]))
    found.append(_cost(TLS, "TLS", us[TLS], us[BASE]))
    found.append(
        _cost(TRACED, "a trace context of the caller, another each time", us[TRACED], us[BASE])
    )
    found.append(_cost(FULL, "all, with TLS and trace contexts", us[FULL], us[NONE]))
    return found


def _cost(name: str, about: str, with_it: list[float], without: list[float]) -> Cost:
    """Return the median difference, and its interval by bootstrap over the rounds."""
    differences = np.subtract(with_it, without)
    drawn = np.random.default_rng(0).choice(differences, (DRAWS, len(differences)))
    least, most = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    mid = float(np.median(differences))
    return Cost(name=name, about=about, us=mid, least=float(least), most=float(most))


def _text(costs: list[Cost], slots: list[Slot]) -> list[str]:
    base, bare = (median(o.cpu_us for o in slots if o.server == one) for one in (BASE, NONE))
    together = next(one for one in costs if one.name == NONE)
    head = ("protection", "CPU µs/request", "95 % interval")
    lines = [[one.about, f"{one.us:.1f}", f"{one.least:.1f} to {one.most:.1f}"] for one in costs]
    alone = sum(one.us for one in costs if one.name in PIECES)
    said = (
        f"With everything on a request costs {base:.1f} µs of the worker's "
        f"processor, without any of these {bare:.1f}; they cost "
        f"{together.us:.1f} together (one by one {alone:.1f}), of at most {BOUND_US:.0f}."
    )
    how = (
        "No protection but TLS and limits can be switched off in Servewell: here a worker runs "
        "without the piece of code, and all else as it is. Where the interval holds 0, the cost "
        "is less than can be seen this way."
    )
    return [said, "", *table(head, lines), "", how, ""]


if __name__ == "__main__":
    begin(main)
