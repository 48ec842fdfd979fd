"""FastAPI as one writes it by hand: the model in an `async` handler, nothing else."""

import os
import sys
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier

classify = Classifier(os.environ["MODEL"])
app = FastAPI()


class Row(BaseModel):
    """One row."""

    features: list[float]


@app.post("/predict")
async def predict(row: Row) -> dict[str, list[float]]:
    """Answer one row."""
    return {"probabilities": classify([row.features])[0].tolist()}


class Rows(BaseModel):
    """Several rows."""

    features: list[list[float]]


@app.post("/batch")
async def batch(rows: Rows) -> dict[str, list[list[float]]]:
    """Answer several rows."""
    return {"probabilities": classify(rows.features).tolist()}
