"""Reads the model folders that MLflow writes, without MLflow.

Source: MLflow, "MLflow Models", storage format; `mlflow/models/model.py` and the `save_model` of
each flavor at release 3.1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from servewell.adapters.embedded.job.packaging import Described
from servewell.core.catalog.inferred_signature import ColumnFacts, ColumnKind
from servewell.core.catalog.model import Format, Parameter
from servewell.ports.trainer import ConversionFailedError

FILE_NAME: Final = "MLmodel"

# In the order of preference: what needs no conversion, then what holds no code, then pickles.
FLAVORS: Final = (
    ("onnx", Format.ONNX, "data"),
    ("xgboost", Format.XGBOOST, "data"),
    ("lightgbm", Format.LIGHTGBM, "data"),
    ("sklearn", Format.SKLEARN, "pickled_model"),
)
DEFAULT_FILES: Final = {
    "onnx": "model.onnx",
    "xgboost": "model.xgb",
    "lightgbm": "model.lgb",
    "sklearn": "model.pkl",
}
KINDS: Final = {
    "string": ColumnKind.TEXT,
    "boolean": ColumnKind.BOOL,
    "integer": ColumnKind.INTEGER,
    "long": ColumnKind.INTEGER,
    "float": ColumnKind.NUMBER,
    "double": ColumnKind.NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowFolder:
    """The model that a folder holds, and what the folder says of it."""

    format: Format
    path_of_model: Path
    described: Described


def read(folder: Path) -> MlflowFolder:
    """Read a folder.

    Raises: ConversionFailedError.
    """
    said = _yaml(folder / FILE_NAME)
    flavors = said.get("flavors")
    flavors = flavors if isinstance(flavors, Mapping) else {}
    for name, kind, key in FLAVORS:
        flavor = flavors.get(name)
        if isinstance(flavor, Mapping):
            file = str(flavor.get(key) or DEFAULT_FILES[name])
            return MlflowFolder(
                format=kind,
                path_of_model=_within(folder, file),
                described=Described(columns=_columns(said), example=_example(folder, said)),
            )
    raise _unreadable(
        f"its flavors are {', '.join(map(str, flavors)) or 'none'}",
        "save the model with one of the flavors onnx, xgboost, lightgbm or sklearn",
    )


def described(folder: Path) -> Described:
    """Return what a folder says of its columns, whatever model it holds.

    Raises: ConversionFailedError where it is no folder of MLflow.
    """
    said = _yaml(folder / FILE_NAME)
    return Described(columns=_columns(said), example=_example(folder, said))


def _yaml(path: Path) -> Mapping[str, Any]:
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(
            f"its file {FILE_NAME} cannot be read: {' '.join(str(error).split())[:200]}",
            "name the folder that holds the file MLmodel as `artifact.path`",
        ) from error
    return said if isinstance(said, Mapping) else {}


def _within(folder: Path, file: str) -> Path:
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise _unreadable(f"it names `{file}`, outside the folder", "save the model again")
    if not path.exists():
        raise _unreadable(f"it names `{file}`, which is not there", "copy the whole folder")
    return path


def _columns(said: Mapping[str, Any]) -> tuple[ColumnFacts, ...]:
    """Return the columns of the folder's signature; none where it has none, or tensors."""
    signature = said.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, Mapping) else None
    try:
        listed = json.loads(inputs) if isinstance(inputs, str) else []
    except ValueError:
        listed = []
    columns = [one for one in listed if isinstance(one, Mapping) and one.get("type") in KINDS]
    if len(columns) != len(listed) or not all(one.get("name") for one in columns):
        return ()
    return tuple(
        ColumnFacts(
            name=str(one["name"]),
            kind=KINDS[one["type"]],
            missing=0 if one.get("required", True) else 1,  # as if one had been seen missing
        )
        for one in columns
    )


def _example(folder: Path, said: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the first row of the folder's input example, where it is a plain table."""
    about = said.get("saved_input_example_info")
    if not isinstance(about, Mapping) or not about.get("artifact_path"):
        return {}
    try:
        table = json.loads(_within(folder, str(about["artifact_path"])).read_text("utf-8"))
        names, first = table["columns"], table["data"][0]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {}
    plain = isinstance(names, list) and isinstance(first, list)
    if not plain or not all(isinstance(one, str | float | int | None) for one in first):
        return {}
    return dict(zip(map(str, names), first, strict=False))


def _unreadable(why: str, fix: str) -> ConversionFailedError:
    return ConversionFailedError("The MLflow folder cannot be used.", why=why, fix=fix)
