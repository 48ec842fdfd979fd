"""What a shadow costs the live path: requests a second and latency, with and without one.

uv run python benchmarks/serving/shadow.py --rounds 5 --seconds 3

One server runs. In each round it is measured without a shadow and with one that is offered a copy
of every request, in a random order; the shadow is the same model, so that it takes as long.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import numpy as np
from cases import Case, quick
from measuring import Slot, conditions, keep, measure, sentence, table
from options import Options, begin, parser, read
from progress import Progress
from servers import Home, Server, metrics

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Shadow
from servewell.flows.publish import publish_snapshot, wait_acknowledged
from servewell.wiring import open_platform

CANDIDATE: Final = "candidate"
OUTCOMES: Final = ("answered", "failed", "busy", "full", "late", "unrecorded")
OPEN: Final = 0  # stands for an open loop among the numbers of connections
OPEN_CONNECTIONS: Final = 32
OPEN_SHARE: Final = 0.5  # of what the closed loop carried


class Copies(msgspec.Struct, kw_only=True):
    """What became of the copies in all measurements with a shadow, a second."""

    offered: float
    outcomes: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement of each round."""

    connections: int
    shadow: bool


def main() -> None:
    """Run the benchmark and write its results."""
    given = _options()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        case = quick(scratch)
        with case.started("servewell", scratch) as server:
            version = f"{case.home.name}:1"
            case.home.json("deploy", case.home.name, version, "--name", CANDIDATE, "--share", "0%")
            before = _counted(case, server)
            slots = list(_slots(case, server, given, scratch))
            copies = _copies(before, _counted(case, server), given)
    held = conditions(
        how=f"One worker, {given.rounds} round(s) of {given.seconds:g} s after {given.warmup:g} s "
        "of warm-up, everything on."
    )
    text = [f"# What a shadow costs, {held['date']}", "", sentence(held), "", *_text(slots, copies)]
    keep("shadow", held, {"copies": copies, "slots": slots}, text)


def _options() -> Options:
    made = parser(__doc__, rounds=5)
    made.add_argument("--connections", type=int, nargs="+", default=[1, 32])
    return read(made)


def _slots(case: Case, server: Server, given: Options, scratch: Path) -> Iterator[Slot]:
    """Yield the measurements: in each round every point once, in another order."""
    draw = np.random.default_rng(0)
    points = [
        Point(connections=one, shadow=shadow)
        for one in (*given.connections, OPEN)
        for shadow in (False, True)
    ]
    rate = 0.0
    progress = Progress(given.rounds * len(points))
    for _ in range(given.rounds):
        for place in draw.permutation(len(points)):
            point = points[place]
            if not point.connections and not rate:
                rate = OPEN_SHARE * _capacity(server, given, scratch)
            _set_shadow(case.home, on=point.shadow)
            slot = _measured(server, point, given, scratch, rate=rate)
            progress.step(f"{_told(slot)}: {slot.per_second:,.0f}/s, p99 {_p99(slot)}")
            yield slot


def _capacity(server: Server, given: Options, scratch: Path) -> float:
    plan = server.plan(connections=OPEN_CONNECTIONS, seconds=given.seconds, warmup=given.warmup)
    return measure(server, plan, scratch).per_second


def _measured(server: Server, point: Point, given: Options, scratch: Path, *, rate: float) -> Slot:
    plan = server.plan(
        connections=point.connections or OPEN_CONNECTIONS,
        seconds=given.seconds,
        warmup=given.warmup,
        rate=0.0 if point.connections else rate,
    )
    slot = measure(server, plan, scratch)
    slot.connections = point.connections
    slot.server = "shadow" if point.shadow else "none"
    return slot


def _set_shadow(home: Home, *, on: bool) -> None:
    """Have the workers copy every request, or none, and wait until they do."""
    platform = open_platform(home.folder)
    endpoint = platform.endpoints.get(home.name)
    shadow = Shadow(deployment=CANDIDATE, share_bp=BP_FULL) if on else None
    change = Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.EXPERIMENT,
        subject=home.name,
        because="a benchmark",
    )
    platform.endpoints.save(replace(endpoint, shadow=shadow), change)
    wait_acknowledged(platform, publish_snapshot(platform).version)


def _counted(case: Case, server: Server) -> dict[str, float]:
    return metrics(server.port, case.home.key("operator", "--every-endpoint"))


def _copies(before: dict[str, float], after: dict[str, float], given: Options) -> Copies:
    """Return what was counted, a second of measuring with a shadow; warming up counts too."""
    points = (len(given.connections) + 1) * given.rounds
    seconds = points * (given.seconds + given.warmup)

    def grown(part: str) -> float:
        rise = (after[name] - before.get(name, 0.0) for name in after if part in name)
        return sum(rise) / seconds

    return Copies(
        offered=grown("servewell_shadow_offered_total"),
        outcomes={one: grown(f'outcome="{one}"') for one in OUTCOMES},
    )


def _text(slots: list[Slot], copies: Copies) -> list[str]:
    lines = []
    for connections in dict.fromkeys(one.connections for one in slots):
        for name in ("none", "shadow"):
            own = [one for one in slots if (one.connections, one.server) == (connections, name)]
            lines.append(
                [
                    _told(own[0]),
                    f"{median(one.per_second for one in own):,.0f}",
                    f"{median(one.measured.p50_us for one in own):,.0f}",
                    f"{median(one.measured.p99_us for one in own):,.0f}",
                    f"{median(one.cpu_us for one in own):.1f}",
                ]
            )
    head = ("measured", "requests/s", "p50 µs", "p99 µs", "CPU µs/request, copies included")
    parts = [f"{count:,.0f} {name}" for name, count in copies.outcomes.items() if count >= 1]
    said = (
        f"With a shadow of 100 %, {copies.offered:,.0f} copies were offered a second: "
        f"{', '.join(parts)}. `busy` and `full` are copies that were dropped."
    )
    return [*table(head, sorted(lines)), "", said, ""]


def _told(slot: Slot) -> str:
    loop = f"closed loop, {slot.connections:>3} connections"
    loop = loop if slot.connections else f"open loop at {OPEN_SHARE:.0%} of the capacity"
    return f"{loop}, {'with' if slot.server == 'shadow' else 'without'} shadow"


def _p99(slot: Slot) -> str:
    return f"{slot.measured.p99_us:,.0f} µs"


if __name__ == "__main__":
    begin(main)
