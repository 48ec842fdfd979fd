"""The same as `fastapi`, with the 15 named inputs of the flight model and their types."""

import os
from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel


class Flight(BaseModel):
    """One row: the inputs of the model with their types."""

    carrier: str
    origin: str
    dest: str
    engine: str | None
    weekday: str
    dep_minute: int
    distance: int
    temp: float | None
    humid: float | None
    wind_speed: float | None
    wind_gust: float | None
    precip: float | None
    pressure: float | None
    visib: float | None
    plane_year: float | None


def load(path: str) -> onnxruntime.InferenceSession:
    """Load the model with the session options that Servewell's workers use."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


TEXTS = ("carrier", "origin", "dest", "engine", "weekday")
WHOLE = ("dep_minute", "distance")
session = load(os.environ["MODEL"])
app = FastAPI()


def feed(flight: Flight) -> dict[str, Any]:
    """Return the row as the tensors that the model takes."""
    tensors = {}
    for name, value in flight:
        if name in TEXTS:
            tensors[name] = np.array([[value or ""]], dtype=object)
        elif name in WHOLE:
            tensors[name] = np.array([[value]], dtype=np.int64)
        else:
            tensors[name] = np.array([[np.nan if value is None else value]], dtype=np.float32)
    return tensors


@app.post("/predict")
async def predict(flight: Flight) -> dict[str, Any]:
    """Answer one row."""
    label, probabilities = session.run(["label", "probabilities"], feed(flight))
    return {"label": int(label[0]), "probabilities": probabilities[0].tolist()}
