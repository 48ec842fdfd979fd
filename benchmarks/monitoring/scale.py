"""Time and memory to say whether 30 columns have moved, against Evidently's PSI.

uv run python benchmarks/monitoring/scale.py
uv run python benchmarks/monitoring/scale.py --quick

Each side reads the same two Parquet files in a process of its own. Ours counts the rows against a
reference profile that was frozen before, as in service; nothing of it is kept between runs. Then
the same verdict is taken from profiles that are stored already, which is what a look at an endpoint
costs however many rows there were.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

import matplotlib as mpl
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ours import reference, verdict, windows
from rival import PROCESS, python

from servewell.core.catalog.profile import ReferenceProfile, WindowProfile

mpl.use("Agg")

from matplotlib import pyplot as plt

SEED = 20_240_611
RESULTS = Path(__file__).parent / "results"
COUNTING = Path(__file__).with_name("counting_process.py")
COLUMNS = 30
REPEATS = {
    1_000_000: 3,
    10_000_000: 1,
}  # by rows; the most rows take Evidently a quarter of an hour
AT_ONCE = 200_000  # rows that are read at once
STEADY_ROWS = 6_000  # of a minute at 100 requests a second


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run took. `failed` says why there is none."""

    whole_s: float = 0.0
    compute_s: float = 0.0
    memory_mb: float = 0.0
    failed: str = ""


def main() -> None:
    """Measure, and write a table and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", choices=REPEATS, default=[*REPEATS])
    parser.add_argument("--quick", action="store_true", help="20,000 rows, once")
    parser.add_argument("--into", type=Path, default=RESULTS)
    options = parser.parse_args()
    sizes = {20_000: 1} if options.quick else {rows: REPEATS[rows] for rows in options.rows}
    found = {rows: _measured(rows, repeats) for rows, repeats in sizes.items()}
    options.into.mkdir(parents=True, exist_ok=True)
    text = _text(found)
    (options.into / "scale.md").write_text(text)
    _draw(found, options.into / "scale.png")
    print(text)


def _measured(rows: int, repeats: int) -> dict[str, Cost | float]:
    with tempfile.TemporaryDirectory() as folder:
        before, now = (Path(folder) / f"{name}.parquet" for name in ("before", "now"))
        for at, file in enumerate((before, now)):
            _write(file, rows, seed=at)
        frozen = Path(folder) / "reference.json"
        frozen.write_bytes(msgspec.json.encode(reference(_sample(before))))
        ours = [sys.executable, str(COUNTING), str(frozen), str(now)]
        theirs = [python(), str(PROCESS), "once", str(before), str(now)]
        return {
            "ours": _best([_run(ours) for _ in range(repeats)]),
            "evidently": _best([_run(theirs) for _ in range(repeats)]),
            "stored_s": _stored(frozen, now),
            "steady_us": _steady(frozen),
        }


def _write(file: Path, rows: int, *, seed: int) -> None:
    random = np.random.default_rng((SEED, seed))
    names = [f"x{at:02d}" for at in range(COLUMNS)]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, rows, AT_ONCE):
            many = min(AT_ONCE, rows - start)
            columns = [pa.array(random.normal(size=many)) for _ in names]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _sample(file: Path) -> dict[str, np.ndarray]:
    """Return the first rows of a file."""
    batch = next(pq.ParquetFile(file).iter_batches(AT_ONCE))
    return {name: batch[name].to_numpy() for name in batch.schema.names}


def _run(words: list[str]) -> Cost:
    """Run a process; return its time from start to end, what it says of itself, and its peak."""
    with tempfile.TemporaryFile("w+") as told, tempfile.TemporaryFile("w+") as faults:
        began = time.perf_counter()
        process = subprocess.Popen(words, stdout=told, stderr=faults)
        _, status, used = os.wait4(process.pid, 0)
        whole = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            return Cost(failed=f"ended with {process.returncode}: {_last(faults)[:60]}")
        took = json.loads(_last(told))["compute_s"]
    return Cost(whole_s=whole, compute_s=took, memory_mb=used.ru_maxrss / 1_024)


def _last(file: IO[str]) -> str:
    """Return the last line of what was written."""
    file.seek(0)
    return (file.read().strip().splitlines() or [""])[-1]


def _best(runs: list[Cost]) -> Cost:
    """Return the median run."""
    good = sorted((one for one in runs if not one.failed), key=lambda one: one.whole_s)
    return good[len(good) // 2] if good else runs[0]


def _stored(frozen: Path, file: Path) -> float:
    """Return the seconds of a verdict from two stored profiles."""
    made = msgspec.json.decode(frozen.read_bytes(), type=ReferenceProfile)
    rows = _sample(file)
    halves = np.arange(len(rows["x00"])) % 2
    kept = msgspec.json.encode(windows(made, rows, halves, 2))
    took = []
    for _ in range(20):
        began = time.perf_counter()
        verdict(made, msgspec.json.decode(kept, type=list[WindowProfile]))
        took.append(time.perf_counter() - began)
    return median(took)


def _steady(frozen: Path) -> float:
    """Return the microseconds for each row of the records of a minute, once everything is warm."""
    made = msgspec.json.decode(frozen.read_bytes(), type=ReferenceProfile)
    random = np.random.default_rng(SEED)
    rows = {one.column: random.normal(size=STEADY_ROWS) for one in made.bins}
    took = []
    for _ in range(20):
        began = time.perf_counter()
        windows(made, rows, np.zeros(STEADY_ROWS, np.int64), 1)
        took.append((time.perf_counter() - began) / STEADY_ROWS * 1e6)
    return median(took)


def _text(found: dict[int, dict[str, Cost | float]]) -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} processors"
    lines = [
        f"{machine}, Python {platform.python_version()}, {COLUMNS} columns of numbers.",
        "",
        "| rows | | whole process | computing alone | peak of memory |",
        "|--:|:--|--:|--:|--:|",
    ]
    for rows, one in found.items():
        for name, title in (("ours", "Servewell"), ("evidently", "Evidently's PSI")):
            cost = one[name]
            cells = (cost.failed and [cost.failed, "", ""]) or [
                f"{cost.whole_s:.2f} s",
                f"{cost.compute_s:.3f} s",
                f"{cost.memory_mb:,.0f} MB",
            ]
            lines.append(f"| {rows:,} | {title} | {' | '.join(cells)} |")
    lines += ["", "| rows | whole process | computing alone | from stored profiles | a verdict |"]
    lines += ["|--:|--:|--:|--:|--:|"]
    for rows, one in found.items():
        ours, theirs, stored = one["ours"], one["evidently"], one["stored_s"]
        if theirs.failed or ours.failed:
            continue
        times = (
            theirs.whole_s / ours.whole_s,
            theirs.compute_s / ours.compute_s,
            theirs.compute_s / stored,
        )
        faster = " | ".join(f"{ratio:,.0f} times faster" for ratio in times)
        lines.append(f"| {rows:,} | {faster} | {stored * 1_000:.2f} ms |")
    steady = median(one["steady_us"] for one in found.values())
    lines += ["", f"In service, counting a row of {COLUMNS} columns takes {steady:.2f} us.", ""]
    return "\n".join(lines)


def _draw(found: dict[int, dict[str, Cost | float]], file: Path) -> None:
    figure, both = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    sides = (("ours", "Servewell", "#1b6ca8"), ("evidently", "Evidently's PSI", "#d98c21"))
    figures = (("whole_s", "whole process, s"), ("memory_mb", "peak of memory, MB"))
    for axes, (figure_of, title) in zip(both, figures, strict=True):
        for at, (name, label, colour) in enumerate(sides):
            values = [getattr(one[name], figure_of) for one in found.values()]
            places = [place + (at - 0.5) * 0.36 for place in range(len(found))]
            bars = axes.bar(places, values, 0.36, color=colour, label=label)
            axes.bar_label(bars, fmt="{:,.1f}", fontsize=8)
        axes.set_xticks(range(len(found)), [f"{rows:,} rows" for rows in found])
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
