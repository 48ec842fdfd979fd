"""Pictures of results."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

import matplotlib as mpl
from measuring import Slot

mpl.use("Agg")

from matplotlib import pyplot as plt

OURS: Final = "#1b6ca8"


def lines(slots: list[Slot], file: Path) -> None:
    """Draw requests a second, p50 and p99 by connections, a line a server."""
    figure, places = plt.subplots(1, 3, figsize=(15, 5), layout="constrained")
    figures: tuple[tuple[str, Callable[[Slot], float]], ...] = (
        ("requests a second", lambda one: one.per_second),
        ("p50, ms", lambda one: one.measured.p50_us / 1e3),
        ("p99, ms", lambda one: one.measured.p99_us / 1e3),
    )
    counts = sorted({one.connections for one in slots})
    for axes, (title, figure_of) in zip(places, figures, strict=True):
        for name in dict.fromkeys(one.server for one in slots):
            own = [one for one in slots if one.server == name]
            mids = [median(figure_of(o) for o in own if o.connections == c) for c in counts]
            strong = {"color": OURS, "linewidth": 3} if name == "servewell" else {"linewidth": 1.2}
            axes.plot(counts, mids, marker="o", label=own[0].title, **strong)
        axes.set(title=title, xlabel="connections", xscale="log", yscale="log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    places[0].legend(fontsize=8)
    figure.savefig(file, dpi=100)
    plt.close(figure)


def overload(slots: list[Slot], file: Path) -> None:
    """Draw goodput and the p99 of what was accepted by offered load, a line a server."""
    figure, (good, tail) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name in dict.fromkeys(one.server for one in slots):
        own = sorted((one for one in slots if one.server == name), key=lambda one: one.factor)
        factors = [one.factor for one in own]
        goods = [one.measured.good / one.measured.seconds for one in own]
        good.plot(factors, goods, marker="o", label=own[0].title)
        told = [one for one in own if one.measured.requests]
        tails = [one.measured.p99_us / 1e3 for one in told]
        tail.plot([one.factor for one in told], tails, marker="o")
    good.set(title="good answers a second", xlabel="offered load, in capacities", ylim=(0, None))
    tail.set(title="p99 of answers, ms", xlabel="offered load, in capacities", yscale="log")
    for axes in (good, tail):
        axes.grid(alpha=0.3)
    good.legend(fontsize=8)
    figure.savefig(file, dpi=100)
    plt.close(figure)


def costs(found: list[tuple[str, float, float, float]], file: Path) -> None:
    """Draw what each costs, with its interval: name, microseconds, least and most."""
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    names, mids, least, most = zip(*reversed(found), strict=True)
    spans = [
        [max(0.0, mid - low) for mid, low in zip(mids, least, strict=True)],
        [max(0.0, high - mid) for mid, high in zip(mids, most, strict=True)],
    ]
    axes.barh(names, mids, xerr=spans, color=OURS, ecolor="#444444", capsize=3)
    axes.set(xlabel="processor time of the worker, µs a request, with 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(file, dpi=100)
    plt.close(figure)


def summary(slots: list[Slot], file: Path) -> None:
    """Draw all servers side by side, in a closed loop at 32 connections where there is one."""
    closed = [one for one in slots if not one.rate]
    counts = sorted({one.connections for one in closed})
    count = AT if AT in counts else counts[-1]
    own = [one for one in closed if one.connections == count]
    names = list(dict.fromkeys(one.server for one in own))
    figures: tuple[tuple[str, Callable[[Slot], float]], ...] = (
        ("requests a second", lambda one: one.per_second),
        ("p50, ms", lambda one: one.measured.p50_us / 1e3),
        ("p99, ms", lambda one: one.measured.p99_us / 1e3),
        ("CPU µs a request, all processes", lambda one: one.cpu_all_us),
        ("memory MB, all processes", lambda one: one.memory_all_mb),
        ("cold start, s", lambda one: one.start_s),
    )
    figure, places = plt.subplots(2, 3, figsize=(15, 8), layout="constrained", sharey=True)
    for axes, (title, figure_of) in zip(places.flat, figures, strict=True):
        mids = [median(figure_of(one) for one in own if one.server == name) for name in names]
        colours = [OURS if name == "servewell" else "#b0b0b0" for name in names]
        bars = axes.barh([_title(own, name) for name in names], mids, color=colours)
        axes.bar_label(bars, fmt=_told, padding=3, fontsize=8)
        axes.set(title=title)
        axes.margins(x=0.2)
    places[0][0].invert_yaxis()
    figure.suptitle(f"one row a request, {count} connections")
    figure.savefig(file, dpi=100)
    plt.close(figure)


AT: Final = 32


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def _title(slots: list[Slot], server: str) -> str:
    return next(one.title for one in slots if one.server == server)
