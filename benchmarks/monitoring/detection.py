"""How often drift is said where there is none, and how often where there is some.

uv run python benchmarks/monitoring/detection.py
uv run python benchmarks/monitoring/detection.py --quick

Our verdict is on the second of two windows, as it is in service; Evidently's, by its defaults, on
that window alone. Both see the same rows.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
from ours import reference, verdict, windows
from rival import Evidently, evidently
from streams import MOVED, REFERENCE_ROWS, Random, Stream, normal, streams

mpl.use("Agg")

from matplotlib import pyplot as plt

SEED = 20_240_611
RESULTS = Path(__file__).parent / "results"
HEADS = (
    "stream",
    "repeats, Evidently's",
    "drift",
    "watch",
    "cannot tell",
    "Evidently, a column",
    "the data",
)
MOVED_HEADS = (
    *HEADS[:2],
    "drift in it",
    "or watch",
    "in another",
    "Evidently, in it",
    "in another",
)
LOOKS = 2  # windows before the newest; two in a row make drift
SAID = ("drift", "watch", "cannot tell")


@dataclass(kw_only=True)
class Found:
    """What was said of one stream, as how often."""

    name: str
    drifts: bool
    repeats: int
    asked: int  # times that Evidently was, of these
    ours: Counter[str] = field(default_factory=Counter)  # by verdict on the whole
    it: Counter[str] = field(default_factory=Counter)  # by verdict on the column that moved
    another: int = 0  # drift in a column that did not move
    theirs_any: int = 0
    theirs_data: int = 0  # half of the columns, which Evidently calls dataset drift
    theirs_it: int = 0
    theirs_another: int = 0

    @property
    def pair(self) -> tuple[float, float]:
        """Return how often we, and they, say drift: of the column that moved, or of any."""
        ours, theirs = (
            (self.it["drift"], self.theirs_it)
            if self.drifts
            else (self.ours["drift"], self.theirs_any)
        )
        return ours / self.repeats, theirs / self.asked

    def row(self) -> str:
        """Return it as a row of a table."""
        noted = self.it["drift"] + self.it["watch"]
        ours, theirs = [self.ours[one] for one in SAID], [self.theirs_any, self.theirs_data]
        if self.drifts:
            ours, theirs = [self.it["drift"], noted, self.another], [self.theirs_it]
            theirs.append(self.theirs_another)
        shares = [one / self.repeats for one in ours] + [one / self.asked for one in theirs]
        told = [f"{one:.1%}" for one in shares]
        return f"| {' | '.join([self.name, f'{self.repeats}, {self.asked}', *told])} |"


def main() -> None:
    """Judge, and write a table and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--asked", type=int, default=20, help="of which Evidently is, 4 s each")
    parser.add_argument("--months", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one repeat, and a day as a month")
    parser.add_argument("--into", type=Path, default=RESULTS)
    options = parser.parse_args()
    sizes = (100, 1_000, 10_000) if options.quick else (100, 1_000, 10_000, 100_000, 1_000_000)
    repeats = 1 if options.quick else options.repeats
    with evidently() as rival:
        found = [
            _judged(one, at, repeats, options.asked, rival) for at, one in enumerate(streams(sizes))
        ]
    months = _months(1 if options.quick else options.months, hours=24 if options.quick else 720)
    options.into.mkdir(parents=True, exist_ok=True)
    text = _text(found, months)
    (options.into / "detection.md").write_text(text)
    _draw(found, options.into / "detection.png")
    print(text)


def _judged(stream: Stream, place: int, repeats: int, asked: int, rival: Evidently) -> Found:
    fewer = _fewer(repeats, stream.rows)
    found = Found(name=stream.name, drifts=stream.drifts, repeats=fewer, asked=min(asked, fewer))
    rows = stream.rows
    for repeat in range(found.repeats):
        random = np.random.default_rng((SEED, place, repeat))
        before, now = stream.before(random, stream.reference_rows), stream.now(random, 2 * rows)
        made = reference(before)
        report = verdict(made, windows(made, now, np.repeat([0, 1], rows), 2))
        said = {one.column: one.verdict.value for one in report.columns}
        found.ours[report.verdict.value] += 1
        found.it[said.pop(MOVED, "")] += 1
        found.another += "drift" in said.values()
        if repeat >= found.asked:
            continue
        theirs = set(rival.drifted(before, {name: one[rows:] for name, one in now.items()}))
        found.theirs_any += bool(theirs)
        found.theirs_data += 2 * len(theirs) >= len(before)
        found.theirs_it += MOVED in theirs
        found.theirs_another += bool(theirs - {MOVED})
    sys.stderr.write(f"{stream.name}: {dict(found.ours)}\n")
    return found


def _fewer(repeats: int, rows: int) -> int:
    """Return fewer repeats of what takes long."""
    return max(min(3, repeats), repeats // max(1, rows // 20_000))


def _months(number: int, *, hours: int) -> list[str]:
    """Return, of months of hourly windows that do not drift, how many had a drift or a watch."""
    lines = ["| rows an hour | months | with a drift | windows on watch |", "|--:|--:|--:|--:|"]
    for rows in (200, 1_000):
        drifted = watched = 0
        for month in range(number):
            said = _month(np.random.default_rng((SEED, 1_000, rows, month)), rows, hours)
            drifted += bool(said["drift"])
            watched += said["watch"]
        share = watched / (number * hours)
        lines.append(f"| {rows:,} | {number} | {drifted / number:.1%} | {share:.2%} |")
    return lines


def _month(random: Random, rows: int, hours: int) -> Counter[str]:
    made = reference(normal(random, REFERENCE_ROWS))
    seen = windows(made, normal(random, rows * hours), np.arange(rows * hours) // rows, hours)
    looks = (seen[max(0, at - LOOKS) : at + 1] for at in range(hours))
    return Counter(verdict(made, one).verdict.value for one in looks)


def _text(found: list[Found], months: list[str]) -> str:
    rule = "|:--" + "|--:" * (len(HEADS) - 1) + "|"
    parts = [f"Reference: {REFERENCE_ROWS:,} rows where nothing else is said.", ""]
    tables = (("Nothing has moved", False, HEADS), ("One column has", True, MOVED_HEADS))
    for title, drifts, heads in tables:
        rows = [one.row() for one in found if one.drifts is drifts]
        parts += [f"## {title}", "", f"| {' | '.join(heads)} |", rule, *rows, ""]
    return "\n".join([*parts, "## A model of 30 columns over months", "", *months, ""])


def _draw(found: list[Found], file: Path) -> None:
    figure, both = plt.subplots(1, 2, figsize=(14, 6.5), layout="constrained")
    titles = ("Nothing has moved: every bar is wrong", "One column has: longer is better")
    for axes, title, drifts in zip(both, titles, (False, True), strict=True):
        shown = [one for one in found if one.drifts is drifts]
        places = np.arange(len(shown))
        ours, theirs = zip(*(one.pair for one in shown), strict=True)
        axes.barh(places - 0.2, ours, 0.4, color="#1b6ca8", label="Servewell says drift")
        axes.barh(places + 0.2, theirs, 0.4, color="#d98c21", label="Evidently says drift")
        axes.set_yticks(places, [one.name for one in shown])
        axes.set(title=title, xlim=(0, 1.02))
        axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = both[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, ncols=2, loc="outside lower center")
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
