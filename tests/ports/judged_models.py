"""Small models to judge: trained, turned into ONNX as a job does, and one with its sign flipped."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from servewell.adapters.embedded.job.exchange import RunFiles
from servewell.adapters.embedded.job.packaging import Loaded, package
from servewell.core.catalog.signature import Signature
from servewell.ports.evaluator import Contender, EvaluateJob
from servewell.ports.trainer import Job

ROWS = 6_000
HELD_OUT = ROWS // 10
NUMBERS = ("wind", "rain")
LABELS = ("late", "minutes")


@cache
def folder_of_data() -> Path:
    """Return a folder with `rows.parquet`: more wind and more rain make flights late."""
    folder = Path(mkdtemp(prefix="servewell-judged-"))
    atexit.register(shutil.rmtree, folder)
    rows().to_parquet(folder / "rows.parquet")
    return folder


def rows() -> pd.DataFrame:
    """Return rows of two numbers, a text with three values, and a label of each kind."""
    draw = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "wind": draw.gamma(3, 5, ROWS).astype("float32"),
            "rain": draw.exponential(0.2, ROWS).astype("float32"),
            "origin": draw.choice(["EWR", "JFK", "LGA"], ROWS, p=[0.5, 0.4, 0.1]),
            "crew": draw.choice(["a", "b"], ROWS),
        }
    )
    said = 0.12 * (frame.wind - 15) + 2 * frame.rain - 1 + draw.logistic(size=ROWS)
    frame["late"] = (said > 0).astype("int64")
    frame["minutes"] = (10 * said).astype("float64")
    return frame


@cache
def made(name: str) -> tuple[Path, Signature]:
    """Return the ONNX file and the signature of `good`, `flipped`, `blind` or `number`."""
    data = folder_of_data() / "rows.parquet"
    frame = pq.read_table(data).to_pandas().iloc[: ROWS - HELD_OUT]
    label = "minutes" if name == "number" else "late"
    truth = 1 - frame[label] if name == "flipped" else frame[label]
    inputs = ["rain", "origin"] if name == "blind" else [*NUMBERS, "origin"]
    told = ColumnTransformer(
        [("text", OneHotEncoder(handle_unknown="ignore"), ["origin"])], remainder="passthrough"
    )
    last = LinearRegression() if name == "number" else LogisticRegression()
    model = make_pipeline(told, last).fit(frame[inputs], truth)
    files = RunFiles(folder_of_data() / name)
    files.folder.mkdir()
    job = Job(run=name, folder=files.folder, data=data, label=label)
    result = package(Loaded(model=model), job, files, say=lambda _: None)
    return files.artifact, result.signature


def contender(name: str) -> Contender:
    """Return a model as it is judged."""
    path, signature = made(name)
    return Contender(version=f"{name}:1", model=path, signature=signature)


def judging(name: str, champion: str | None = None, **changes: object) -> EvaluateJob:
    """Return the job that judges a model, against another one where that is named."""
    whole = {
        "run": f"judge-{name}",
        "candidate": contender(name),
        "champion": None if champion is None else contender(champion),
        "data": folder_of_data() / "rows.parquet",
        "label": "minutes" if name == "number" else "late",
    }
    return EvaluateJob(**whole | changes)  # type: ignore[arg-type]  # the tests name right fields


def few(count: int) -> Path:
    """Return a file with so many rows, of which a tenth is held out."""
    path = folder_of_data() / f"rows-{count}.parquet"
    pq.write_table(pa.Table.from_pandas(rows().iloc[:count]), path)
    return path
