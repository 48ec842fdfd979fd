"""Simulate how often the judge of a rollout is wrong, and how soon it is right.

uv run python benchmarks/judge/run.py
uv run python benchmarks/judge/run.py --quick

The code that judges is the one that judges rollouts; requests are drawn at random. One process.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from chart import draw
from scenarios import FAILING, MEASURED, Scenario
from simulation import Run, simulate

RESULTS: Final = Path(__file__).parent / "results"
SEED: Final = 20_240_611
COLUMNS: Final = ("judge", "strict", "fixed", "peeking")
BAR: Final = 30


def main() -> None:
    """Simulate, and write a table and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400, help="of those with failures alone")
    parser.add_argument("--measured-repeats", type=int, default=200, help="of the others")
    parser.add_argument("--quick", action="store_true", help="a tenth of the repeats")
    parser.add_argument("--into", type=Path, default=RESULTS)
    options = parser.parse_args()
    part = 10 if options.quick else 1
    plan = [(one, options.repeats // part) for one in FAILING]
    plan += [(one, options.measured_repeats // part) for one in MEASURED]
    results = _simulated(plan)
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "judge.md").write_text(table(results))
    draw(results, options.into / "judge.png")
    print(table(results))


def _simulated(plan: list[tuple[Scenario, int]]) -> list[tuple[Scenario, list[Run]]]:
    total, done, began = sum(repeats for _, repeats in plan), 0, time.perf_counter()
    results = []
    for number, (scenario, repeats) in enumerate(plan):
        runs = []
        for repeat in range(repeats):
            runs.append(simulate(scenario, np.random.default_rng((SEED, number, repeat))))
            done += 1
            if done * 100 // total > (done - 1) * 100 // total:
                _tell(done / total, time.perf_counter() - began, scenario.name)
        results.append((scenario, runs))
    sys.stderr.write("\n")
    return results


def _tell(part: float, spent_s: float, name: str) -> None:
    left_s = round(spent_s / part - spent_s)
    bar = "#" * round(part * BAR)
    sys.stderr.write(f"\r[{bar:<{BAR}}] {part:4.0%}, {left_s:>4} s left: {name:<40}")
    sys.stderr.flush()


def table(results: list[tuple[Scenario, list[Run]]]) -> str:
    """Return the results as Markdown: share of releases ended, and the median minute."""
    heads = (
        "release",
        "repeats",
        "judge",
        "judge, narrow margins",
        "fixed threshold",
        "peeking z-test",
        "fit for promotion",
    )
    lines = [f"| {' | '.join(heads)} |", "|:--" + "|--:" * (len(heads) - 1) + "|"]
    for scenario, runs in results:
        ended = [_told([getattr(run, name) for run in runs]) for name in COLUMNS]
        fit = _told([run.shown if run.promoted else None for run in runs])
        cells = [scenario.name, str(len(runs)), *ended, fit if scenario.measured else "–"]  # noqa: RUF001 - a dash for nothing
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _told(minutes: list[int | None]) -> str:
    known = [minute for minute in minutes if minute is not None]
    share = f"{len(known) / len(minutes):.1%}"
    return f"{share} ({median(known):.0f} min)" if known else share


if __name__ == "__main__":
    main()
