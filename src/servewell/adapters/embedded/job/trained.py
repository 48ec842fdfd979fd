"""Models as their own libraries know them: what they are, what they take, what they answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from servewell.ports.trainer import ConversionFailedError

Numbers = NDArray[np.float64]
Labels = NDArray[Any]


class Task(StrEnum):
    """What a model answers."""

    PROBABILITIES = "probabilities"  # a label, and the probability of each class
    LABELS = "labels"  # a label alone
    NUMBERS = "numbers"  # one number, or several


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model answered to n rows."""

    labels: Labels | None = None  # (n,)
    numbers: Numbers | None = None  # (n, k): probabilities of k classes, or k predictions


class Trained(Protocol):
    """A fitted model of one of the libraries."""

    library: str
    task: Task
    names: tuple[str, ...] | None  # of the columns that it was fitted on, where it knows them
    width: int | None  # how many columns it takes, where it knows
    classes: tuple[str, ...] | None
    model: Any

    def answer(self, frame: pd.DataFrame) -> Answers:
        """Return what the model says to rows that have its columns, in its order."""
        ...


class SklearnModel:
    """A scikit-learn estimator, or an estimator of another library that behaves as one."""

    def __init__(self, model: Any, library: str = "sklearn") -> None:  # noqa: ANN401  # untyped library
        from sklearn.base import is_classifier, is_regressor  # noqa: PLC0415  # may be missing

        self.library = library
        self.model = model
        self.names = _names(getattr(model, "feature_names_in_", None))
        self.width = getattr(model, "n_features_in_", None)
        self.task = Task.LABELS
        self.classes = None
        if is_regressor(model):
            self.task = Task.NUMBERS
        elif is_classifier(model):
            self.classes = _classes(model)
            if hasattr(model, "predict_proba"):
                self.task = Task.PROBABILITIES
        elif not hasattr(model, "predict"):
            raise ConversionFailedError(
                f"A {type(model).__name__} answers nothing.",
                why="it has no `predict`",
                fix="return the whole pipeline, with the estimator at its end",
            )

    def answer(self, frame: pd.DataFrame) -> Answers:
        """See `Trained.answer`."""
        rows = frame if self.names is not None else frame.to_numpy()
        if self.task is Task.NUMBERS:
            return Answers(numbers=_matrix(self.model.predict(rows)))
        labels = np.asarray(self.model.predict(rows))
        if self.task is Task.LABELS:
            return Answers(labels=labels)
        return Answers(labels=labels, numbers=_matrix(self.model.predict_proba(rows)))


class XgboostBooster:
    """A bare XGBoost booster: its objective says what its numbers are."""

    library = "xgboost"

    def __init__(self, model: Any) -> None:  # noqa: ANN401  # untyped library
        import json  # noqa: PLC0415  # beside its one use

        self.model = model
        self.names = _names(model.feature_names)
        self.width: int | None = int(model.num_features())
        learner = json.loads(model.save_config())["learner"]
        objective = learner["objective"]["name"]
        self.task = (
            Task.PROBABILITIES
            if objective in ("binary:logistic", "multi:softprob", "multi:softmax")
            else Task.NUMBERS
        )
        count = max(int(learner["learner_model_param"]["num_class"]), 2)
        self.classes = tuple(map(str, range(count))) if self.task is Task.PROBABILITIES else None
        if objective == "multi:softmax":
            model.set_param({"objective": "multi:softprob"})

    def answer(self, frame: pd.DataFrame) -> Answers:
        """See `Trained.answer`."""
        import xgboost  # noqa: PLC0415  # may be missing

        matrix = xgboost.DMatrix(frame.to_numpy(dtype="float32"), feature_names=self.names)
        return _of_booster(self.task, self.model.predict(matrix))


class LightgbmBooster:
    """A bare LightGBM booster: its objective says what its numbers are."""

    library = "lightgbm"

    def __init__(self, model: Any) -> None:  # noqa: ANN401  # untyped library
        self.model = model
        names = tuple(model.feature_name())
        made_up = all(name == f"Column_{index}" for index, name in enumerate(names))
        self.names = None if made_up else names
        self.width: int | None = len(names)
        objective = str(model.params.get("objective") or _lightgbm_objective(model)).split(" ")[0]
        self.task = (
            Task.PROBABILITIES
            if objective in ("binary", "multiclass", "softmax", "multiclassova")
            else Task.NUMBERS
        )
        count = max(int(model.num_model_per_iteration()), 2)
        self.classes = tuple(map(str, range(count))) if self.task is Task.PROBABILITIES else None

    def answer(self, frame: pd.DataFrame) -> Answers:
        """See `Trained.answer`."""
        return _of_booster(self.task, self.model.predict(frame.to_numpy(dtype="float64")))


def recognise(model: object) -> Trained:
    """Return a model as what it is.

    The library is told by the classes that its type descends from, so that none is loaded that
    the model does not already use.

    Raises: ConversionFailedError where it is no model that can be served.
    """
    kinds = [f"{kind.__module__}.{kind.__name__}" for kind in type(model).__mro__]
    roots = {kind.partition(".")[0] for kind in kinds}
    if "xgboost.core.Booster" in kinds:
        return XgboostBooster(model)
    if "lightgbm.basic.Booster" in kinds:
        return LightgbmBooster(model)
    for library in ("xgboost", "lightgbm", "sklearn"):
        if library in roots and "sklearn.base.BaseEstimator" in kinds:
            return SklearnModel(model, library)
    raise ConversionFailedError(
        f"What came back is no model: {_described(model)}.",
        why="it is neither a scikit-learn estimator, an XGBoost or LightGBM model, a PyTorch "
        "module, nor an ONNX model",
        fix="return the fitted model; a pipeline is returned whole",
    )


def keeps_missing_text(model: object) -> bool:
    """Whether an encoder within a model learned a missing value beside texts."""
    waiting, seen = [model], {id(model)}
    while waiting:
        one = waiting.pop()
        if any(_has_gap(texts) for texts in getattr(one, "categories_", ())):
            return True
        for part in _parts(one):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
    return False


def _has_gap(categories: object) -> bool:
    return (
        isinstance(categories, np.ndarray)
        and any(
            one is None or one != one  # noqa: PLR0124  # not-a-number, whatever holds it
            for one in categories
            if not isinstance(one, str)
        )
        and any(isinstance(one, str) for one in categories)
    )


def _parts(one: object) -> Iterable[object]:
    if isinstance(one, list | tuple):
        return one
    if isinstance(one, dict):
        return one.values()
    if type(one).__module__.startswith("sklearn.") and hasattr(one, "__dict__"):
        return vars(one).values()
    return ()


KNOWN_ODDITIES: Final = (int, float, str, bool, dict, list, type(None))


def _described(model: object) -> str:
    if isinstance(model, KNOWN_ODDITIES):
        return f"{type(model).__name__} {str(model)[:60]!r}"
    return f"an object of {type(model).__module__}.{type(model).__qualname__}"


def _lightgbm_objective(model: Any) -> str:  # noqa: ANN401  # untyped library
    for line in model.model_to_string(num_iteration=1).splitlines():
        if line.startswith("objective="):
            return str(line.removeprefix("objective="))
    return "none"


def _of_booster(task: Task, raw: object) -> Answers:
    numbers = _matrix(raw)
    if task is Task.NUMBERS:
        return Answers(numbers=numbers)
    if numbers.shape[1] == 1:
        numbers = np.hstack([1 - numbers, numbers])
    return Answers(labels=numbers.argmax(axis=1), numbers=numbers)


def _matrix(raw: object) -> Numbers:
    if isinstance(raw, list):
        raise ConversionFailedError(
            "The model predicts several targets at once.",
            why="its probabilities come as one table per target",
            fix="train one model per target",
        )
    numbers = np.asarray(raw, dtype="float64")
    return numbers.reshape(len(numbers), -1)


def _names(names: Any) -> tuple[str, ...] | None:  # noqa: ANN401  # array, list or None
    return None if names is None else tuple(str(name) for name in names)


def _classes(model: Any) -> tuple[str, ...]:  # noqa: ANN401  # untyped library
    classes = np.asarray(model.classes_)
    if classes.dtype.kind in "bf":  # served as whole numbers
        classes = classes.astype("int64")
    return tuple(str(one) for one in classes.tolist())
