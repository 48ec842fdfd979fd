"""Write the flowers twice: as the rows of the workload, and as what the predictor knows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_iris

NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
KNOWN = 0.8  # of the flowers; the predictor has never seen the others
SEED = 7


def main(folder: Path) -> None:
    """Write both files; the flowers that the predictor does not know are the last rows."""
    flowers = load_iris()
    order = np.random.default_rng(SEED).permutation(len(flowers.data))
    lengths = flowers.data[order].astype("float32")
    species = flowers.target_names[flowers.target[order]]
    rows = {name: lengths[:, place] for place, name in enumerate(NAMES)}
    pq.write_table(pa.table({**rows, "species": species.tolist()}), folder / "flowers.parquet")
    known = int(len(lengths) * KNOWN)
    np.savez(folder / "flowers.npz", lengths=lengths[:known], species=species[:known])


if __name__ == "__main__":
    main(Path(__file__).parent)
