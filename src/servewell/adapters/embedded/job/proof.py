"""Proves that the ONNX model answers what the trained model does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import pandas as pd
from numpy.typing import NDArray

from servewell.adapters.embedded.job.trained import Answers, Numbers, Trained
from servewell.core.catalog.model import Equivalence
from servewell.core.catalog.signature import Datatype, Input
from servewell.ports.trainer import NotEquivalentError

ROWS_AT_ONCE: Final = 65_536
NUMPY: Final[dict[Datatype, str]] = {
    Datatype.BOOL: "bool",
    Datatype.INT64: "int64",
    Datatype.FP32: "float32",
    Datatype.BYTES: "object",
}


def open_session(model: bytes, *, profile_to: Path | None = None) -> onnxruntime.InferenceSession:
    """Return the model in the runtime that serves it, with the options that workers use.

    With `profile_to`, what each call does is written to a file that starts with that name.

    Raises: what onnxruntime raises where it cannot run the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if profile_to is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_to)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def prove(
    session: onnxruntime.InferenceSession,
    trained: Trained,
    rows: pd.DataFrame,
    *,
    inputs: Sequence[Input],
    tolerance: float,
) -> Equivalence:
    """Compare the two models on every row.

    The trained model gets the numbers as the data holds them, the ONNX model as a request would
    bring them, in 32 bits: what rounding does to the answers is part of the difference.

    Two labels may differ only where the trained model itself holds both for equally probable,
    within the tolerance.

    Raises: NotEquivalentError, which names the worst row and both answers.
    """
    largest = 0.0
    for first in range(0, len(rows), ROWS_AT_ONCE):
        part = rows.iloc[first : first + ROWS_AT_ONCE]
        compared = _Compared(
            wanted=trained.answer(part),
            served=_served(session, part, inputs),
            rows=part,
            personal=frozenset(one.name for one in inputs if one.personal),
            classes=trained.classes,
        )
        largest = max(largest, compared.difference(tolerance))
    return Equivalence(rows=len(rows), largest_difference=largest, tolerance=tolerance)


def feeds(rows: pd.DataFrame, inputs: Sequence[Input]) -> dict[str, NDArray[Any]]:
    """Return the rows as the tensors that a request would bring."""
    return {
        one.name: rows[one.name].to_numpy(dtype=NUMPY[one.datatype]).reshape(-1, 1)
        for one in inputs
    }


def _served(
    session: onnxruntime.InferenceSession, rows: pd.DataFrame, inputs: Sequence[Input]
) -> Answers:
    names = [one.name for one in session.get_outputs()]
    by_name = dict(zip(names, session.run(None, feeds(rows, inputs)), strict=True))
    labels = by_name.pop("label", None)
    numbers = next(iter(by_name.values()), None)
    return Answers(
        labels=None if labels is None else labels.reshape(-1),
        numbers=None if numbers is None else numbers.reshape(len(rows), -1).astype("float64"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """The answers of both models to the same rows."""

    wanted: Answers
    served: Answers
    rows: pd.DataFrame
    personal: frozenset[str]
    classes: tuple[str, ...] | None

    def difference(self, tolerance: float) -> float:
        """Return the largest difference of any number.

        Raises: NotEquivalentError where it is above the tolerance, or a label differs.
        """
        largest = 0.0
        if self.wanted.numbers is not None and self.served.numbers is not None:
            largest = self._numbers(self.wanted.numbers, self.served.numbers, tolerance)
        if self.wanted.labels is not None and self.served.labels is not None:
            self._labels(tolerance)
        return largest

    def _numbers(self, wanted: Numbers, served: Numbers, tolerance: float) -> float:
        if wanted.shape != served.shape:
            raise _not_equivalent(
                f"the trained model answers {wanted.shape[1]} numbers a row, the served one "
                f"{served.shape[1]}"
            )
        for whose, numbers in (("trained", wanted), ("served", served)):
            if not np.isfinite(numbers).all():
                row = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
                raise _not_equivalent(
                    f"the {whose} model answers {_shown(numbers[row])} to {self._row(row)}"
                )
        apart = np.abs(wanted - served)
        row = int(apart.max(axis=1).argmax())
        largest = float(apart[row].max())
        if largest > tolerance:
            raise _not_equivalent(
                f"they are {largest:.3g} apart, more than the tolerance of {tolerance:g}, on "
                f"{self._row(row)}: the trained model answers {_shown(wanted[row])}, the served "
                f"one {_shown(served[row])}"
            )
        return largest

    def _labels(self, tolerance: float) -> None:
        wanted, served = _comparable(self.wanted.labels), _comparable(self.served.labels)
        for row in np.flatnonzero(wanted != served):
            if not self._tied(int(row), str(wanted[row]), str(served[row]), tolerance):
                raise _not_equivalent(
                    f"the trained model answers `{wanted[row]}`, the served one `{served[row]}`, "
                    f"to {self._row(int(row))}"
                )

    def _tied(self, row: int, wanted: str, served: str, tolerance: float) -> bool:
        numbers, classes = self.wanted.numbers, self.classes or ()
        if numbers is None or wanted not in classes or served not in classes:
            return False
        gap = numbers[row][classes.index(wanted)] - numbers[row][classes.index(served)]
        return abs(float(gap)) <= tolerance

    def _row(self, row: int) -> str:
        values = self.rows.iloc[row].to_dict()
        held = ", ".join(
            f"{name}={'…' if name in self.personal else value}" for name, value in values.items()
        )
        return f"held-out row {int(self.rows.index[row]) + 1} ({held})"


def _comparable(labels: object) -> NDArray[np.str_]:
    """Return labels as texts; true and 1.0 are served as 1."""
    array = np.asarray(labels)
    if array.dtype.kind in "bf":
        array = array.astype("int64")
    return array.astype("str")


def _shown(numbers: Numbers) -> str:
    return "[" + ", ".join(f"{one:.7g}" for one in numbers) + "]"


def _not_equivalent(why: str) -> NotEquivalentError:
    return NotEquivalentError(
        "The served answers are not the trained model's.",
        why=why,
        fix="train on 32-bit numbers (`astype('float32')`) if rounding is the cause, use "
        "estimators that convert exactly, or raise `model.tolerance` if that is good enough",
    )
