"""Real rows, as each server takes them, and what the model itself answers to them."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import pyarrow.compute as pc
import pyarrow.parquet as pq

DATA: Final = Path(__file__).parents[2] / "examples" / "flight-delays" / "data" / "flights.parquet"
DATATYPES: Final = {
    **dict.fromkeys(("carrier", "origin", "dest", "engine", "weekday"), "BYTES"),
    **dict.fromkeys(("dep_minute", "distance"), "INT64"),
    **dict.fromkeys(
        (
            *("temp", "humid", "wind_speed", "wind_gust"),
            *("precip", "pressure", "visib", "plane_year"),
        ),
        "FP32",
    ),
}
ELEMENTS: Final = {"BYTES": object, "INT64": np.int64, "FP32": np.float32}

Row = dict[str, Any]


def held_out(count: int) -> list[Row]:
    """Return flights of March, which the model has not seen, from all over the month."""
    flights = pq.read_table(DATA, columns=["scheduled", *DATATYPES])
    flights = flights.filter(pc.equal(pc.month(flights["scheduled"]), 3))
    places = np.linspace(0, flights.num_rows - 1, count).astype(int)
    return [_shown(row) for row in flights.select(list(DATATYPES)).take(places).to_pylist()]


def flat(row: Row) -> str:
    """Return a row as one writes it for a service of one's own: a flat object."""
    return json.dumps(row, separators=(",", ":"))


def open_inference(row: Row) -> str:
    """Return a row as a request of the Open Inference Protocol, one tensor an input."""
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": DATATYPES[name], "data": [value]}
        for name, value in row.items()
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":"))


def answers(rows: list[Row], model: Path) -> list[float]:
    """Return the probability of being late that the model gives each row."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    feed = {
        name: np.array([[_missing(row[name], datatype)] for row in rows], dtype=ELEMENTS[datatype])
        for name, datatype in DATATYPES.items()
    }
    return [float(row[1]) for row in session.run(["probabilities"], feed)[0]]


def _missing(value: Any, datatype: str) -> Any:  # noqa: ANN401 - a cell
    if value is not None:
        return value
    return "" if datatype == "BYTES" else np.nan


def _shown(row: Row) -> Row:
    """Round what is stored in 32 bits to the digits that people write."""
    return {
        name: float(f"{value:.7g}") if isinstance(value, float) else value
        for name, value in row.items()
    }
