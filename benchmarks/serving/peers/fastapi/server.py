"""FastAPI as one writes it by hand: the model in an `async` handler, nothing else."""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
classify = Classifier(model)
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


if __name__ == "__main__":
    uvicorn.run(
        "server:app",
        app_dir=str(Path(__file__).parent),
        host="127.0.0.1",
        port=port,
        workers=workers,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
