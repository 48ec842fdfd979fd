"""Our side as a whole process: `counting_process.py REFERENCE ROWS` judges a Parquet file."""

import json
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
from ours import verdict, windows

from servewell.core.catalog.profile import ReferenceProfile
from servewell.core.operations.monitoring.profiles import merged

AT_ONCE = 200_000  # rows that are read at once


def count(frozen: Path, file: Path) -> float:
    """Count a file against a frozen reference, and judge; return the seconds of that alone."""
    made = msgspec.json.decode(frozen.read_bytes(), type=ReferenceProfile)
    spent, counted = 0.0, []
    for batch in pq.ParquetFile(file).iter_batches(AT_ONCE):
        rows = {name: batch[name].to_numpy() for name in batch.schema.names}
        began = time.perf_counter()
        counted += windows(made, rows, np.zeros(batch.num_rows, np.int64), 1)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    verdict(made, [merged(counted)])
    return spent + time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps({"compute_s": count(Path(sys.argv[1]), Path(sys.argv[2]))}))
