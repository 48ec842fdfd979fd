"""One picture of the year: traffic, versions, quality, decisions and their reasons."""

import textwrap
from datetime import date
from pathlib import Path
from typing import Final

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MonthLocator
from sklearn.metrics import roc_auc_score
from story import Event, Story

mpl.use("Agg")

COLOURS: Final = ["#3b6fb6", "#e08a1e", "#4c9f70", "#b5495b", "#7a5aa6", "#8c7853", "#4aa3b5"]
LANES: Final = {"planted": 3, "retraining": 2, "gates": 1, "rollout": 0}
MARKS: Final = {True: ("o", "#2e8b57"), False: ("X", "#c0392b"), None: ("D", "#555555")}
REASONS: Final = 30  # that are written below
WIDTH: Final = 165  # characters of a reason
LINE_INCHES: Final = 0.19
LABELS_MIN: Final = 50  # in a week, for its quality to be drawn


def draw(story: Story, path: Path) -> None:
    """Draw the year into a file."""
    requests = story.requests()
    told = min(REASONS, sum(_is_news(one) for one in story.events))
    below = 0.3 + told * LINE_INCHES
    figure, panels = plt.subplots(
        4, 1, figsize=(13, 9 + below), height_ratios=[3.2, 3.2, 2.6, below], layout="constrained"
    )
    figure.suptitle("A year of flights: what was served, how good it was, and what was decided")
    colours = _colours(requests)
    _traffic(panels[0], requests, colours)
    _quality(panels[1], requests, colours)
    reasons = _decisions(panels[2], story.events)
    _reasons(panels[3], reasons)
    for panel in panels[:3]:
        panel.set_xlim(requests["day"].min(), requests["day"].max())
        panel.xaxis.set_major_locator(MonthLocator())
        panel.xaxis.set_major_formatter(DateFormatter("%b"))
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _colours(requests: pd.DataFrame) -> dict[str, str]:
    names = [one for one in requests["deployment"].unique() if one]
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def _traffic(panel: Axes, requests: pd.DataFrame, colours: dict[str, str]) -> None:
    answered = requests[requests["status"] == 200]  # noqa: PLR2004 - HTTP's own
    counts = pd.crosstab(answered["day"], answered["deployment"]).reindex(columns=list(colours))
    panel.stackplot(
        counts.index, counts.fillna(0).T, labels=list(colours), colors=list(colours.values()),
        step="mid",
    )  # fmt: skip
    refused = len(requests) - len(answered)
    panel.set_title(
        f"Requests a day, by the version that answered ({len(requests):,}; {refused} not answered)",
        loc="left",
    )
    panel.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=len(colours), fontsize=8, frameon=False
    )


def _quality(panel: Axes, requests: pd.DataFrame, colours: dict[str, str]) -> None:
    known = requests.dropna(subset=["late", "probability"])
    weeks = pd.to_datetime(known["day"]).dt.to_period("W").dt.start_time
    for (week, name), rows in known.groupby([weeks, "deployment"]):
        if len(rows) >= LABELS_MIN and 0 < rows["late"].mean() < 1:
            auc = roc_auc_score(rows["late"], rows["probability"])
            panel.scatter(week, auc, color=colours[name], s=18 + len(rows) / 40, zorder=3)
    panel.axhline(0.5, color="#999999", linewidth=1, linestyle=":")
    panel.set_title(
        "Area under the ROC curve by the labels that came a week after, by version and week "
        "(0.5: chance)",
        loc="left",
    )


def _decisions(panel: Axes, events: list[Event]) -> list[tuple[int, Event]]:
    """Draw the events in their lanes; return those whose reasons are to be read, numbered."""
    told = [one for one in events if _is_news(one)][:REASONS]
    for event in events:
        mark, colour = MARKS[event.good]
        panel.scatter(event.day, LANES[event.kind], marker=mark, color=colour, s=45, zorder=3)
    last: dict[int, date] = {}
    for number, event in enumerate(told, 1):
        lane = LANES[event.kind]
        near = lane in last and (event.day - last[lane]).days < 5  # noqa: PLR2004 - would overlap
        panel.annotate(
            str(number), (event.day, lane), xytext=(0, -16 if near else 8),
            textcoords="offset points", ha="center", fontsize=8,
        )  # fmt: skip
        last[lane] = event.day
    panel.set_yticks(list(LANES.values()), list(LANES))
    panel.set_ylim(-0.7, len(LANES) - 0.3)
    panel.grid(axis="y", color="#eeeeee")
    panel.set_title("Decisions: round is yes, crossed is no; numbers are told below", loc="left")
    return list(enumerate(told, 1))


def _is_news(event: Event) -> bool:
    """Whether its reason is to be read: a training fails for what the gates say already."""
    if event.kind == "retraining":
        return False
    return (
        event.kind == "planted"
        or event.good is False
        or (event.kind == "rollout" and event.good is True)
    )


def _reasons(panel: Axes, reasons: list[tuple[int, Event]]) -> None:
    lines = [
        textwrap.shorten(f"{number:2}  {one.day:%d %b}  {one.kind}: {one.words}", WIDTH)
        for number, one in reasons
    ]
    panel.axis("off")
    panel.text(0, 1, "\n".join(lines), va="top", fontsize=8, linespacing=1.5)
