"""The picture of a simulation: who ends which release, and when."""

from pathlib import Path
from statistics import median
from typing import Final

import matplotlib as mpl
from scenarios import MINUTES, Scenario
from simulation import Run

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

JUDGES: Final = (
    ("judge", "Servewell's judge", "#1b6ca8", "-"),
    ("fixed", "fixed threshold per minute", "#d98c21", "-"),
    ("peeking", "z-test, repeated every minute", "#b03a48", "-"),
)
LINES: Final = (
    JUDGES[0],
    ("strict", "Servewell's judge, narrow margins", "#1b6ca8", ":"),
    *JUDGES[1:],
)
ALLOWED: Final = 0.05


def draw(results: list[tuple[Scenario, list[Run]]], file: Path) -> None:
    """Draw the share of wrongly ended equal releases, and the course of detection of bad ones."""
    failing = [one for one in results if not one[0].measured]
    equal = [one for one in failing if one[0].equal]
    bad = [one for one in failing if not one[0].equal]
    figure = plt.figure(figsize=(13, 8.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    left, right = top.subplots(1, 2)
    _draw_wrong(left, equal)
    _draw_promotion(right, [one for one in results if one[0].measured])
    for axes, (scenario, runs) in zip(bottom.subplots(1, len(bad), sharey=True), bad, strict=True):
        _draw_detection(axes, scenario, runs)
    bottom.axes[0].set_ylabel("share of bad releases ended")
    bottom.suptitle("Worse candidates: ended by which minute, at which share", fontsize=12)
    handles, labels = bottom.axes[0].get_legend_handles_labels()
    bottom.legend(handles, labels, frameon=False, fontsize=9, ncols=4, loc="outside lower center")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _draw_wrong(axes: Axes, equal: list[tuple[Scenario, list[Run]]]) -> None:
    width = 0.26
    for at, (name, title, colour, _) in enumerate(JUDGES):
        shares = [_share(runs, name) for _, runs in equal]
        places = [k + (at - 1) * width for k in range(len(equal))]
        axes.bar(places, shares, width, color=colour, label=title)
        for place, share in zip(places, shares, strict=True):
            axes.text(place, share + 0.01, f"{share:.1%}", ha="center", fontsize=9)
    axes.axhline(ALLOWED, color="#555", linestyle="--", linewidth=1)
    axes.text(0.72, ALLOWED + 0.012, "allowed: 5 %", ha="center", fontsize=8, color="#555")
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8], ["0 %", "20 %", "40 %", "60 %", "80 %"])
    axes.set_xticks(range(len(equal)), [scenario.name for scenario, _ in equal])
    axes.set(title="Equal candidates that were rolled back: all of these are wrong", ylim=(0, 0.8))
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)


def _draw_promotion(axes: Axes, measured: list[tuple[Scenario, list[Run]]]) -> None:
    names = [scenario.name for scenario, _ in measured]
    promoted = [sum(run.promoted for run in runs) / len(runs) for _, runs in measured]
    ended = [_share(runs, "judge") for _, runs in measured]
    waiting = [max(0.0, 1 - a - b) for a, b in zip(promoted, ended, strict=True)]
    parts = (
        ("fit for promotion", promoted, "#3b8f5a"),
        ("undecided after an hour", waiting, "#cfd4d8"),
        ("rolled back", ended, "#b03a48"),
    )
    begun = [0.0] * len(names)
    for title, shares, colour in parts:
        axes.barh(names, shares, left=begun, color=colour, label=title, height=0.7)
        begun = [a + b for a, b in zip(begun, shares, strict=True)]
    for row, (_, runs) in enumerate(measured):
        axes.text(1.01, row, _when(runs), va="center", fontsize=8.5)
    axes.invert_yaxis()
    axes.set(title="The judge's word after an hour, and its median minute", xlim=(0, 1.22))
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.4, -0.07))
    _plain(axes)


def _when(runs: list[Run]) -> str:
    told = [
        f"{mark} {median(minutes):.0f} min"
        for mark, minutes in (
            ("fit", [run.shown for run in runs if run.promoted and run.shown]),
            ("back", [run.judge for run in runs if run.judge]),
        )
        if len(minutes) >= len(runs) / 10
    ]
    return ", ".join(told)


def _draw_detection(axes: Axes, scenario: Scenario, runs: list[Run]) -> None:
    for row, (name, title, colour, style) in enumerate(LINES):
        minutes = sorted(m for run in runs if (m := getattr(run, name)) is not None)
        shares = [sum(1 for m in minutes if m <= t) / len(runs) for t in range(MINUTES + 1)]
        axes.plot(range(MINUTES + 1), shares, style, color=colour, label=title, linewidth=2)
        if name == "strict":
            continue
        half = len(minutes) * 2 >= len(runs)
        told = f"half by minute {minutes[len(runs) // 2 - 1]}" if half else "never half of them"
        axes.text(59, 0.5 - 0.065 * row, told, color=colour, fontsize=9, ha="right")
    for minute in (15, 30, 45):
        axes.axvline(minute, color="#e3e3e3", linewidth=1, zorder=0)
    axes.set(title=scenario.name, xlabel="minute", xlim=(0, MINUTES), ylim=(0, 1.03))
    axes.title.set_fontsize(10)
    axes.set_xticks([7.5, 22.5, 37.5, 52.5], ["5 %", "10 %", "25 %", "50 %"], minor=True)
    axes.tick_params(axis="x", which="minor", length=0, pad=16, labelcolor="#777", labelsize=8)
    axes.set_xticks([0, 15, 30, 45, 60])
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    _plain(axes)


def _share(runs: list[Run], name: str) -> float:
    return sum(getattr(run, name) is not None for run in runs) / len(runs)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
