"""The predictor of a folder of MLflow: it stands in the package beside the folder.

It is run by the Python of that model's own environment, so it imports nothing of Servewell.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FOLDER: Final = "model"
SCRIPT: Final = "servewell_pyfunc.py"
TYPES: Final = {
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "boolean": "bool",
}

Array = NDArray[Any]


class Predictor:
    """An MLflow model, asked with data frames."""

    def load(self, folder: Path) -> None:
        """Load the model, with the types of its columns."""
        import mlflow.pyfunc  # noqa: PLC0415  # of the model's own environment

        self._model: Any = mlflow.pyfunc.load_model(str(folder / FOLDER))
        schema = self._model.metadata.get_input_schema()
        named = schema.inputs if schema is not None and not schema.is_tensor_spec() else []
        self._types = {str(one.name): TYPES.get(one.type.name) for one in named}

    def predict(self, columns: dict[str, Array]) -> dict[str, Array]:
        """Answer rows: a column each where the model answers a table, else `prediction`."""
        import pandas as pd  # noqa: PLC0415  # of the model's own environment

        frame = pd.DataFrame({name: self._typed(name, one) for name, one in columns.items()})
        answered = self._model.predict(frame)
        if isinstance(answered, dict):
            return {str(name): _plain(one) for name, one in answered.items()}
        if isinstance(answered, pd.DataFrame):
            return {str(name): _plain(answered[name]) for name in answered.columns}
        return {"prediction": _plain(answered)}

    def _typed(self, name: str, column: Array) -> Array:
        """Return a column as the model's schema wants it; one with gaps stays as it is."""
        kind = self._types.get(name)
        gaps = column.dtype.kind == "f" and bool(np.isnan(column).any())
        return column if kind is None or gaps else column.astype(kind)


def _plain(answer: Any) -> Array:  # noqa: ANN401  # array, series or list
    array: Array = np.asarray(answer)
    return array if array.dtype.kind in "biuf" else array.astype(str)
