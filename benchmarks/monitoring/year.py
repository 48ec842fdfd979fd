"""A year of flights by month: drift, and estimated against realised quality.

uv run python benchmarks/monitoring/year.py
uv run python benchmarks/monitoring/year.py --quick

The model of the example learns from January and February; March is the reference, April to
December are what it meets. Estimates see scores alone, never a label of their month, and each
carries the trust that `servewell quality` would tell of it.
"""

import argparse
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from ours import HOUR_S, verdict

from servewell.adapters.embedded.monitoring.binning import score_of
from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.counting import places_of
from servewell.adapters.embedded.monitoring.grouping import Table, grouped, reference_of
from servewell.core.catalog.drift import DriftReport
from servewell.core.catalog.profile import EVERYTHING, ReferenceProfile, Side, WindowProfile
from servewell.core.catalog.quality import Figure, QualityReport, Trust
from servewell.core.catalog.quality_reference import QualityReference, Task
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.cbpe import ACCURACY, BRIER, ROC_AUC, expected
from servewell.core.operations.monitoring.held_out_quality import HeldOutRow, held_out_quality
from servewell.core.operations.monitoring.quality import headlines, report
from servewell.core.operations.monitoring.quality_window import Facts, Span
from servewell.core.operations.monitoring.realised import Judged, realised
from servewell.core.operations.monitoring.row_blocks import widened

mpl.use("Agg")

from matplotlib import pyplot as plt

RESULTS = Path(__file__).parent / "results"
EXAMPLE = Path(__file__).parents[2] / "examples" / "flight-delays"
TRAIN = runpy.run_path(str(EXAMPLE / "train.py"), run_name="train")
TEXTS, NUMBERS, LABEL = TRAIN["TEXTS"], TRAIN["NUMBERS"], TRAIN["LABEL"]
SHOWN = (ACCURACY, ROC_AUC, BRIER)
MARKS = {Trust.GOOD: "o", Trust.DOUBTFUL: "s", Trust.NONE: "x"}  # of estimates, in the picture
EVEN = 0.5
SEED = 20_240_611
QUICK_ROWS = 2_000  # of each month
SIGNATURE = Signature(
    inputs=(
        *(Input(name=one, datatype=Datatype.BYTES) for one in TEXTS),
        *(Input(name=one, datatype=Datatype.FP32, nullable=True) for one in NUMBERS),
    ),
    outputs=(
        Output(name="probabilities", datatype=Datatype.FP32, row_shape=(2,), classes=("0", "1")),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Month:
    """What was found of one month."""

    name: str
    rows: int
    drift: DriftReport
    estimated: dict[str, Figure]
    realised: dict[str, Figure]
    trust: dict[str, Trust]  # in the estimate, by metric
    because: str  # of that in the headline


def main() -> None:
    """Learn, walk through the year, and write a table and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some of the rows, a small model")
    parser.add_argument("--into", type=Path, default=RESULTS)
    options = parser.parse_args()
    flights = TRAIN["read_flights"](EXAMPLE / "data" / "flights.parquet")
    month = flights["scheduled"].dt.strftime("%Y-%m")
    if options.quick:
        flights = flights.groupby(month, group_keys=False).sample(QUICK_ROWS, random_state=SEED)
        month = flights["scheduled"].dt.strftime("%Y-%m")
    learned = flights[month < "2013-03"]
    model = TRAIN["make_model"](trees=10 if options.quick else 80, depth=4)
    model.fit(learned[TEXTS + NUMBERS], learned[LABEL])
    found = list(_months(model, flights, month))
    options.into.mkdir(parents=True, exist_ok=True)
    text = _text(found)
    (options.into / "year.md").write_text(text)
    _draw(found, options.into / "year.png")
    print(text)


def _months(model: object, flights: pd.DataFrame, month: "pd.Series[str]") -> Iterator[Month]:
    held_out = flights[month == "2013-03"]
    table, judged = _answered(model, held_out)
    made = reference_of(SIGNATURE, table, rows=len(held_out), slices=(), source="March")
    made = replace(made, package="p", version="flight-delays:1")
    quality = _reference(made, table, judged)
    yield _month("2013-03", _window(made, table, len(held_out)), judged, made, quality)
    for name in sorted(month[month > "2013-03"].unique()):
        rows = flights[month == name]
        table, judged = _answered(model, rows)
        yield _month(name, _window(made, table, len(rows)), judged, made, quality)


def _answered(model: object, rows: pd.DataFrame) -> tuple[Table, list[Judged]]:
    """Return rows with their answers, and the answers beside the truth."""
    chances = model.predict_proba(rows[TEXTS + NUMBERS]).astype(np.float32)
    inputs = {one: Cells.of_tensor(rows[one].to_numpy(object), is_input=True) for one in TEXTS}
    inputs |= {
        one: Cells.of_tensor(rows[one].to_numpy(np.float32, na_value=np.nan), is_input=True)
        for one in NUMBERS
    }
    outputs = {"probabilities": Cells.of_tensor(chances, is_input=False)}
    judged = [
        Judged(
            task=Task.TWO_CLASSES,
            loss=(score - hit) ** 2,
            score=score,
            positive=score >= EVEN,
            hit=bool(hit),
        )
        for score, hit in zip(chances[:, 1].tolist(), rows[LABEL].tolist(), strict=True)
    ]
    return Table(inputs=inputs, outputs=outputs), judged


def _window(made: ReferenceProfile, table: Table, rows: int) -> WindowProfile:
    [whole] = grouped(made.bins, (), table, np.zeros(rows, np.int64), 1)
    return WindowProfile(
        endpoint="flights",
        deployment="v1",
        package="p",
        start=0,
        seconds=HOUR_S,
        rows=whole.rows,
        counts=whole.counts,
    )


def _reference(made: ReferenceProfile, table: Table, judged: list[Judged]) -> QualityReference:
    score = next(one for one in made.bins if one.side is Side.SCORE)
    places = places_of(score, score_of(table.outputs["probabilities"])).tolist()
    rows = [HeldOutRow(judged=one, place=place) for one, place in zip(judged, places, strict=True)]
    found = held_out_quality(rows, column=score.column)
    if found is None:
        sys.exit("March has too few rows")
    return found


def _month(
    name: str,
    window: WindowProfile,
    judged: list[Judged],
    made: ReferenceProfile,
    quality: QualityReference,
) -> Month:
    """Return what is found; a month stands for two windows, so that drift may be said of it."""
    counts = window.counts[EVERYTHING][quality.column]
    told = _told(name, window, made, quality)
    return Month(
        name=name,
        rows=len(judged),
        drift=verdict(made, [window, replace(window, start=HOUR_S)]),
        estimated={
            metric: widened(figure, quality.missed.get(metric, 0.0), highest=1.0)
            for metric, figure in expected(quality.cells, counts, Task.TWO_CLASSES).items()
        },
        realised=realised(judged, Task.TWO_CLASSES),
        trust={one.metric: one.trust for one in told.metrics},
        because=headlines(told)[0].because,
    )


def _told(
    name: str, window: WindowProfile, made: ReferenceProfile, quality: QualityReference
) -> QualityReport:
    """Return what is told of a month without its labels, by a version of the first of April."""
    month = pd.Period(name)
    span = Span(start=month.start_time.timestamp(), until=month.end_time.timestamp())
    facts = Facts(
        endpoint=window.endpoint,
        deployment=window.deployment,
        version=made.version,
        package=made.package,
        made_at=pd.Timestamp("2013-04-01").timestamp(),
        spans=(span,),
        profiles=(window,),
        labels=(),
        bins=made,
        reference=quality,
        watched=None,
    )
    return report(facts, QualityRules())


def _text(found: list[Month]) -> str:
    heads = [f"{one}, {kind}" for one in SHOWN for kind in ("estimated", "realised")]
    lines = [
        f"| month | rows | verdict | columns that drift | {' | '.join(heads)} | trust |",
        "|:--|--:|:--|:--" + "|--:" * len(heads) + "|:--|",
    ]
    for one in found:
        moved = [c for c in one.drift.columns if c.verdict.value == "drift"]
        told = ", ".join(f"{c.column} {c.psi:.2f}" for c in moved[:4])
        more = f" and {len(moved) - 4} more" if moved[4:] else ""
        cells = [
            f"{figure.value:.3f}" if (figure := side.get(name)) else "–"  # noqa: RUF001 - a dash for nothing
            for name in SHOWN
            for side in (one.estimated, one.realised)
        ]
        lines.append(
            f"| {one.name} | {one.rows:,} | {one.drift.verdict.value} | {told}{more} "
            f"| {' | '.join(cells)} | {one.trust[BRIER].value}: {one.because} |"
        )
    lines += ["", f"| metric | estimate off by, mean | {' | '.join(map(_head, Trust))} |"]
    lines += ["|:--|--:" + "|--:" * len(Trust) + "|"]
    lines += [*(_accuracy(name, found[1:]) for name in SHOWN), ""]
    return "\n".join(lines)


def _head(trust: Trust) -> str:
    return f"months with the truth within the band, trust {trust.value}"


def _accuracy(name: str, found: list[Month]) -> str:
    pairs = [(one.estimated[name], one.realised[name].value) for one in found]
    distance = sum(abs(guess.value - truth) for guess, truth in pairs) / len(pairs)
    by_trust = (_within(name, [m for m in found if m.trust[name] is one]) for one in Trust)
    return f"| {name} | {distance:.4f} | {' | '.join(by_trust)} |"


def _within(name: str, found: list[Month]) -> str:
    pairs = [(one.estimated[name], one.realised[name].value) for one in found]
    within = sum(guess.low <= truth <= guess.high for guess, truth in pairs)
    return f"{within} of {len(found)}"


def _draw(found: list[Month], file: Path) -> None:
    figure, rows = plt.subplots(4, 1, figsize=(11, 11), layout="constrained", sharex=True)
    places = np.arange(len(found))
    for axes, name in zip(rows, SHOWN, strict=False):
        guesses = [one.estimated[name] for one in found]
        truths = [one.realised[name] for one in found]
        low, high = [one.low for one in guesses], [one.high for one in guesses]
        axes.fill_between(places, low, high, color="#1b6ca8", alpha=0.2)
        axes.plot(places, [one.value for one in guesses], color="#1b6ca8", label="estimated")
        for trust, mark in MARKS.items():
            at = [place for place, one in enumerate(found) if one.trust[name] is trust]
            values = [guesses[place].value for place in at]
            label = f"trust {trust.value}" if at else None
            axes.plot(at, values, mark, color="#1b6ca8", ms=7, label=label)
        reach = [
            [one.value - one.low for one in truths],
            [one.high - one.value for one in truths],
        ]
        values = [one.value for one in truths]
        axes.errorbar(places, values, reach, fmt="o", color="#b03a48", label="realised", ms=4)
        axes.axhline(truths[0].value, color="#555", linestyle="--", linewidth=1)
        axes.set_ylabel(name)
    columns = [*TEXTS, *NUMBERS]
    moved = [{c.column: min(c.psi, 1.0) for c in one.drift.columns} for one in found]
    psi = np.array([[of.get(name, 0.0) for of in moved] for name in columns])
    shown = rows[3].imshow(psi, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    rows[3].set_yticks(range(len(columns)), columns, fontsize=8)
    rows[3].set_xticks(places, [one.name for one in found])
    figure.colorbar(shown, ax=rows[3], label="PSI, 1 or more is darkest")
    rows[0].legend(frameon=False, fontsize=9, ncols=5)
    rows[0].set_title("The year of flights, by a model that learned from January and February")
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
