"""One row a request, JSON: Servewell with everything on beside every peer.

uv run python benchmarks/serving/single.py --rounds 3 --seconds 4 --open
uv run python benchmarks/serving/single.py --case flights --servers servewell fastapi-flights

A closed loop at each number of connections. With `--open`, two open loops as well: at half of what
the server carried, and at a rate that every server carries.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import chart
from cases import CASES, PEERS_OF, Case
from measuring import RESULTS, Slot, conditions, keep, left_out, measure, sentence, table
from options import Options, begin, parser, read
from peers import FLIGHTS, PEERS
from progress import Progress
from servers import FailedError, Server

OURS: Final = "servewell"
HALF: Final = 0.5
SAME_RATE: Final = 150.0  # requests a second
OPEN_CONNECTIONS: Final = 64
KNOWN: Final = (OURS, *PEERS, FLIGHTS.name, "constant")


def main() -> None:
    """Run the benchmark and write its results."""
    given = options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        slots, failed = _run(CASES[given.case](scratch), given, scratch)
    held = conditions(
        how=f"Medians of {given.rounds} round(s) of {given.seconds:g} s after {given.warmup:g} s "
        f"of warm-up; {given.workers} worker(s); every status and one answer in fifty checked.",
        case=given.case,
        workers=given.workers,
    )
    stem = f"single-{given.case}" + (f"-{given.workers}-workers" if given.workers > 1 else "")
    title = f"# One row a request, case `{given.case}`, {given.workers} worker(s), {held['date']}"
    picture = RESULTS / f"{held['date']}-{stem}.png"
    text = [title, "", sentence(held), "", f"![{stem}]({picture.name})", ""]
    keep(stem, held, {"slots": slots}, [*text, *left_out(failed), *tables(slots)])
    chart.lines([one for one in slots if not one.rate], picture)


def options(words: list[str] | None = None) -> Options:
    """Return what the command line says."""
    made = parser(__doc__, rounds=3)
    made.add_argument("--case", choices=CASES, default="quick")
    made.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32, 128, 256])
    made.add_argument("--workers", type=int, default=1)
    made.add_argument("--open", action="store_true", help="open loops as well")
    made.add_argument("--servers", nargs="+", choices=KNOWN, help="default: all with this case")
    given = read(made, words)
    given.servers = given.servers or [OURS, *PEERS_OF[given.case]]
    return given


def planned_s(given: Options) -> float:
    """Return the seconds that this takes, about."""
    points = len(given.connections) + 2 * given.open
    starts = sum(START_S.get(name, 6) for name in given.servers)
    return 15 + given.rounds * (starts + len(given.servers) * points * given.point_s)


START_S: Final = {"ray": 30, "mlflow": 25, "bentoml": 12, "kserve": 11, "mlserver": 11}


def _run(case: Case, given: Options, scratch: Path) -> tuple[list[Slot], dict[str, str]]:
    """Return the measurements, and why servers are missing in them.

    Each round starts every server afresh, in another order.
    """
    names = given.servers
    progress = Progress(given.rounds * len(names) * (len(given.connections) + 2 * given.open))
    slots: list[Slot] = []
    failed: dict[str, str] = {}
    for turn in range(given.rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            if name in failed:
                continue
            try:
                with case.started(name, scratch, workers=given.workers) as server:
                    for slot in _of_server(server, given, scratch):
                        progress.step(_told(slot))
                        slots.append(slot)
            except FailedError as error:
                if name == OURS:
                    raise
                failed[name] = str(error)
    return [one for one in slots if one.server not in failed], failed


def _of_server(server: Server, given: Options, scratch: Path) -> Iterator[Slot]:
    times = {"seconds": given.seconds, "warmup": given.warmup}
    most = 0.0
    for count in given.connections:
        slot = measure(server, server.plan(connections=count, **times), scratch)
        most = max(most, slot.per_second)
        yield slot
    for rate, factor in ((HALF * most, HALF), (SAME_RATE, 0.0)) if given.open else ():
        plan = server.plan(connections=OPEN_CONNECTIONS, rate=rate, **times)
        yield measure(server, plan, scratch, factor=factor)


def _told(slot: Slot) -> str:
    how = f"{slot.rate:.0f} a second due" if slot.rate else f"{slot.connections} connections"
    return (
        f"{slot.title}, {how}: {slot.per_second:,.0f} requests/s, "
        f"p99 {slot.measured.p99_us / 1e3:.2f} ms, {slot.cpu_us:.0f} CPU µs"
    )


def tables(slots: list[Slot]) -> list[str]:
    """Return all tables of the measurements."""
    closed = [one for one in slots if not one.rate]
    text: list[str] = []
    for count in sorted({one.connections for one in closed}):
        own = [one for one in closed if one.connections == count]
        text += [f"## {count} connection{'s' if count > 1 else ''}", "", *_closed(own), ""]
    half = [one for one in slots if one.factor]
    same = [one for one in slots if one.rate and not one.factor]
    if half:
        text += ["## Open loop at half of the capacity of each", "", *_open(half), ""]
    if same:
        text += [f"## Open loop at {SAME_RATE:.0f} requests/s for each", "", *_open(same), ""]
    return [*text, "## Cold start", "", *_starts(slots)]


HEAD: Final = (
    "server",
    "requests/s",
    "Servewell is (least to most)",
    "p50 ms",
    "p99 ms",
    "CPU µs/request, answering (all)",
    "memory MB, answering (all)",
    "generator busy",
)


def _closed(slots: list[Slot]) -> list[str]:
    groups = _by_server(slots)
    ours = groups.get(OURS, [])
    ordered = sorted(groups.values(), key=lambda own: -median(one.per_second for one in own))
    return table(HEAD, [_line(own, ours) for own in ordered])


def _line(own: list[Slot], ours: list[Slot]) -> list[str]:
    return [
        own[0].title,
        f"{median(one.per_second for one in own):,.0f}",
        _ratio(own, ours),
        f"{median(one.measured.p50_us for one in own) / 1e3:.2f}",
        f"{median(one.measured.p99_us for one in own) / 1e3:.2f}",
        f"{median(one.cpu_us for one in own):.0f} ({median(one.cpu_all_us for one in own):.0f})",
        (
            f"{median(one.memory_mb for one in own):.0f} "
            f"({median(one.memory_all_mb for one in own):.0f})"
        ),
        f"{median(one.measured.generator_busy for one in own):.0%}",
    ]


def _ratio(own: list[Slot], ours: list[Slot]) -> str:
    if own is ours or not ours:
        return ""
    ratios = [b.per_second / a.per_second for a, b in zip(own, ours, strict=True)]
    return f"{median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


def _open(slots: list[Slot]) -> list[str]:
    head = ("server", "due/s", "answered/s", "p50 ms", "p99 ms", "CPU µs/request, answering (all)")
    lines: list[list[Any]] = [
        [
            own[0].title,
            f"{median(one.rate for one in own):,.0f}",
            f"{median(one.per_second for one in own):,.0f}",
            f"{median(one.measured.p50_us for one in own) / 1e3:.2f}",
            f"{median(one.measured.p99_us for one in own) / 1e3:.2f}",
            f"{median(o.cpu_us for o in own):.0f} ({median(o.cpu_all_us for o in own):.0f})",
        ]
        for own in _by_server(slots).values()
    ]
    return table(head, sorted(lines, key=lambda line: float(line[4])))


def _starts(slots: list[Slot]) -> list[str]:
    lines = [
        [own[0].title, f"{median(one.start_s for one in own):.1f}"]
        for own in _by_server(slots).values()
    ]
    return table(("server", "seconds from its command to the first answer"), lines)


def _by_server(slots: list[Slot]) -> dict[str, list[Slot]]:
    names = dict.fromkeys(one.server for one in slots)
    return {name: [one for one in slots if one.server == name] for name in names}


if __name__ == "__main__":
    begin(main)
