"""Evidently's side, run by the Python of its own environment.

`serve` judges pairs of rows that it is told of, a line each, by Evidently's defaults. `once` reads
two Parquet files, computes the PSI of every column, and says how long that took.
"""

import json
import sys
import time
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402 - warnings are turned off before anything is loaded
import pandas as pd  # noqa: E402
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402


def serve() -> None:
    """Answer each line, a file of arrays `before:NAME` and `now:NAME`, with what drifted."""
    for line in sys.stdin:
        with np.load(line.strip()) as held:
            before, now = (_frame(held, side) for side in ("before", "now"))
        found = Report([DataDriftPreset()]).run(now, before).dict()["metrics"]
        drifted = [one["config"]["column"] for one in found[1:] if _has_drifted(one)]
        if len(drifted) != found[0]["value"]["count"]:
            sys.exit("Evidently counts other columns than those that are read here")
        sys.stdout.write(json.dumps(drifted) + "\n")
        sys.stdout.flush()


def once(before: str, now: str) -> None:
    """Compute the PSI of all columns of two files."""
    frames = pd.read_parquet(before), pd.read_parquet(now)
    began = time.perf_counter()
    preset = DataDriftPreset(num_method="psi", cat_method="psi")
    found = Report([preset]).run(frames[1], frames[0]).dict()["metrics"]
    took = time.perf_counter() - began
    sys.stdout.write(json.dumps({"compute_s": took, "columns": len(found) - 1}) + "\n")


def _has_drifted(metric: "dict[str, Any]") -> bool:
    """Whether a column has drifted: small p-values and large distances say so."""
    config, value = metric["config"], float(metric["value"])
    if config["method"].endswith("p_value"):
        return value < config["threshold"]
    return value >= config["threshold"]


def _frame(held: "np.lib.npyio.NpzFile", side: str) -> pd.DataFrame:
    names = [name for name in held.files if name.startswith(f"{side}:")]
    return pd.DataFrame({name.partition(":")[2]: held[name] for name in names})


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else once(*sys.argv[2:])
