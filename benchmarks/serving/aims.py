"""What was aimed at, and what was measured, from the results of the benchmarks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from measuring import Slot
from protections import NONE, PIECES, Cost

DIY: Final = "fastapi"
OURS: Final = "servewell"
PEAK_SHARE: Final = 0.9
OVERLOADED: Final = 3.0  # capacities


class Result(msgspec.Struct):
    """What a benchmark wrote, as far as it is read here."""

    slots: list[Slot]
    costs: list[Cost] = []
    alone_per_second: list[float] = []


class Aim(msgspec.Struct, kw_only=True):
    """One figure beside its aim."""

    about: str
    aim: str
    measured: str
    met: bool


def aims(results: dict[str, Path]) -> list[Aim]:
    """Return the aims that these results speak of."""
    read = {name: _read(file) for name, file in results.items()}
    return [
        one for name, make in MAKERS if name in read for one in make(read[name].slots, read[name])
    ]


def slots_of(file: Path) -> list[Slot]:
    """Return the measurements in a file of results."""
    return _read(file).slots


def _read(file: Path) -> Result:
    return msgspec.json.decode(file.read_bytes(), type=Result)


def _single(slots: list[Slot], _: Result) -> Iterator[Aim]:
    closed = [one for one in slots if not one.rate]
    names = dict.fromkeys(one.server for one in slots)
    if OURS not in names:
        return
    peers = [name for name in names if name != OURS]
    counts = sorted({one.connections for one in closed})
    ours = {count: _of(closed, OURS, count) for count in counts}
    if DIY in names and {1, 32} <= set(counts):
        ratios = _ratios(_of(closed, DIY, 32), ours[32], _speed)
        yield _aim("requests/s, times FastAPI at 32 connections", "at least 10", ratios, least=10)
        costs = _ratios(ours[32], _of(closed, DIY, 32), _cpu)
        yield _aim("CPU of FastAPI a request, times ours, at 32", "at least 10", costs, least=10)
        halves = _ratios(_of(closed, DIY, 1), ours[1], _p50)
        yield _aim("p50 at one connection, of FastAPI's", "at most 0.5", halves, most=0.5)
    least = {
        (name, count): median(_ratios(_of(closed, name, count), ours[count], _speed))
        for name in peers
        for count in counts
    }
    if least:
        (name, count), ratio = min(least.items(), key=lambda one: one[1])
        yield Aim(
            about="requests/s, times the nearest peer at any number of connections",
            aim="more than 1",
            measured=f"{ratio:.2f} ({name}, {count} connections)",
            met=ratio > 1,
        )
    yield from _tails([one for one in slots if one.rate], peers)
    if 32 in ours:  # noqa: PLR2004 - the number of connections that the aim speaks of
        used = [one.cpu_us for one in ours[32]]
        told = _aim("CPU µs of the worker a request, at 32", "at most 50", used, most=50)
        told.measured += f"; {median(one.cpu_all_us for one in ours[32]):.1f} of all processes"
        yield told


def _tails(opened: list[Slot], peers: list[str]) -> Iterator[Aim]:
    same = [one for one in opened if not one.factor]
    half = [one for one in opened if one.factor]
    for about, slots in (("at the same rate", same), ("at half of its capacity", half)):
        tails = {name: _tail_ms(slots, name) for name in peers if _named(slots, name)}
        if tails and _named(slots, OURS):
            name, best = min(tails.items(), key=lambda one: one[1])
            ours = _tail_ms(slots, OURS)
            yield Aim(
                about=f"p99 {about}, ms",
                aim=f"below every peer's (best: {name}, {best:.2f})",
                measured=f"{ours:.2f}",
                met=ours < best,
            )


def _protections(_: list[Slot], result: Result) -> Iterator[Aim]:
    together = next(one for one in result.costs if one.name == NONE)
    yield Aim(
        about=f"CPU µs of {len(PIECES)} protections together",
        aim="below 25",
        measured=f"{together.us:.1f} ({together.least:.1f} to {together.most:.1f})",
        met=together.us < 25,  # noqa: PLR2004 - the aim
    )


def _limit(slots: list[Slot], _: Result) -> Iterator[Aim]:
    ratios = _ratios(_named(slots, OURS), _named(slots, "nginx"), _speed)
    yield _aim("requests/s of nginx with a constant, times ours", "at most 3.5", ratios, most=3.5)
    ratios = _ratios(_named(slots, OURS), _named(slots, "constant"), _speed)
    yield _aim("the same loop with a constant, times ours", "(distance)", ratios, most=1e9)


def _binary(slots: list[Slot], result: Result) -> Iterator[Aim]:
    speeds = [_speed(one) for one in _named(slots, f"{OURS}-binary")]
    shares = [a / b for a, b in zip(speeds, result.alone_per_second, strict=True)]
    yield _aim(
        "rows/s in binary batches, of ONNX Runtime alone", "at least 0.85", shares, least=0.85
    )


def _overload(slots: list[Slot], _: Result) -> Iterator[Aim]:
    own = [one for one in _named(slots, OURS) if one.factor]
    factors = sorted({one.factor for one in own})
    good = {
        factor: median(o.measured.good / o.measured.seconds for o in own if o.factor == factor)
        for factor in factors
    }
    if OVERLOADED in good:
        share = good[OVERLOADED] / max(good.values())
        yield Aim(
            about="good answers/s at 3 times the capacity, of the peak",
            aim="above 0.9",
            measured=f"{share:.2f}",
            met=share > PEAK_SHARE,
        )


Maker = Callable[[list[Slot], Result], Iterator[Aim]]
MAKERS: Final[tuple[tuple[str, Maker], ...]] = (
    ("single-quick", _single),
    ("protections", _protections),
    ("limit", _limit),
    ("binary", _binary),
    ("overload", _overload),
)


def _aim(
    about: str, aim: str, values: list[float], *, least: float = 0.0, most: float = 1e9
) -> Aim:
    mid = median(values)
    told = f"{mid:.2f} ({min(values):.2f} to {max(values):.2f})"
    return Aim(about=about, aim=aim, measured=told, met=least <= mid <= most)


def _named(slots: list[Slot], server: str) -> list[Slot]:
    return [one for one in slots if one.server == server]


def _of(slots: list[Slot], server: str, connections: int) -> list[Slot]:
    return [one for one in _named(slots, server) if one.connections == connections]


def _ratios(below: list[Slot], above: list[Slot], figure: Callable[[Slot], float]) -> list[float]:
    """Return `above / below`, round by round."""
    return [figure(a) / figure(b) for a, b in zip(above, below, strict=True)]


def _speed(one: Slot) -> float:
    return one.per_second


def _cpu(one: Slot) -> float:
    return one.cpu_all_us


def _p50(one: Slot) -> float:
    return one.measured.p50_us


def _tail_ms(slots: list[Slot], server: str) -> float:
    return median(one.measured.p99_us for one in _named(slots, server)) / 1e3
