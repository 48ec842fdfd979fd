"""Makes of a trained model what can be served: ONNX, a signature, and a proof."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import pandas as pd

from servewell.adapters.embedded.job.conversion import Layout, convert, layouts
from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.graph import described_outputs, package_onnx
from servewell.adapters.embedded.job.proof import feeds, open_session, prove
from servewell.adapters.embedded.job.rows import Rows, column_names, read_rows
from servewell.adapters.embedded.job.trained import Trained, recognise
from servewell.core.catalog.inferred_signature import apply_rules, infer_input
from servewell.core.catalog.model import Equivalence
from servewell.core.catalog.signature import Input, Signature
from servewell.core.catalog.workload_rules import nearest
from servewell.errors import ServewellError
from servewell.ports.trainer import ConversionFailedError, Job, NotEquivalentError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A model as ONNX, and the proof of it."""

    model: bytes
    equivalence: Equivalence


def package(
    model: object, job: Job, files: RunFiles, *, say: Say, metrics: dict[str, float]
) -> Result:
    """Write the ONNX file of a model, and return what else is to be known of it.

    Raises: ConversionFailedError, NotEquivalentError, InputRuleError, HeldOutRowsError,
    TrainingFailedError where the data cannot be read, OSError.
    """
    if isinstance(model, onnx.ModelProto):
        return package_onnx(model, job, files, say=say, metrics=metrics)
    trained = recognise(model)
    if job.data is None:
        raise ConversionFailedError(
            "There are no rows to prove the model on.",
            why="the workload names no data",
            fix="name a Parquet file under `data` in the workload file",
        )
    say("inferring the signature")
    rows = _rows(trained, job, job.data)
    inputs = apply_rules(tuple(infer_input(one) for one in rows.facts), job.inputs)
    converted = Conversion(
        trained=trained, inputs=inputs, rows=rows.held_out, tolerance=job.tolerance, say=say
    ).first_proved()
    files.artifact.write_bytes(converted.model)
    session = open_session(converted.model)
    outputs = described_outputs(
        session, feeds(rows.held_out.iloc[:2], inputs), classes=trained.classes
    )
    personal = {one.name for one in inputs if one.personal}
    return Result(
        signature=Signature(inputs=inputs, outputs=outputs),
        equivalence=converted.equivalence,
        metrics=metrics,
        example={name: one for name, one in rows.example.items() if name not in personal},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The work of turning a model into ONNX that answers as it does."""

    trained: Trained
    inputs: Sequence[Input]
    rows: pd.DataFrame  # held out
    tolerance: float
    say: Say

    def first_proved(self) -> Converted:
        """Return the first way of converting that the proof bears out.

        Raises: NotEquivalentError, ConversionFailedError.
        """
        failed: list[ServewellError] = []
        for layout in layouts(self.trained, self.inputs):
            try:
                return self._proved(layout)
            except (ConversionFailedError, NotEquivalentError) as error:
                failed.append(error)
        differing = [error for error in failed if isinstance(error, NotEquivalentError)]
        raise (differing or failed)[-1]

    def _proved(self, layout: Layout) -> Converted:
        self.say("converting to ONNX")
        model = convert(self.trained, self.inputs, layout).SerializeToString(deterministic=True)
        session = self._session(model)
        self.say(f"proving {len(self.rows):,} held-out rows")
        equivalence = prove(
            session, self.trained, self.rows, inputs=self.inputs, tolerance=self.tolerance
        )
        return Converted(model=model, equivalence=equivalence)

    def _session(self, model: bytes) -> onnxruntime.InferenceSession:
        try:
            return open_session(model)
        except Exception as error:
            raise ConversionFailedError(
                f"The ONNX form of a {type(self.trained.model).__name__} does not run.",
                why=" ".join(str(error).split())[:400],
                fix="export the model to ONNX yourself and name it as `artifact`",
            ) from error


def _rows(trained: Trained, job: Job, data: Path) -> Rows:
    """Return the rows of the columns that the model was fitted on, named as the model does."""
    columns = _columns(trained, job, column_names(data))
    return read_rows(data, columns, held_out=job.held_out, rules=job.inputs)


def _columns(trained: Trained, job: Job, available: tuple[str, ...]) -> tuple[str, ...]:
    if trained.names is not None:
        return tuple(_found(name, available) for name in trained.names)
    aside = {job.label, job.held_out.column if job.held_out else None}
    rest = tuple(name for name in available if name not in aside)
    if trained.width is None or trained.width == len(rest):
        return rest
    raise ConversionFailedError(
        "It cannot be told which columns the model takes.",
        why=f"it was fitted on {trained.width} columns without names, and the data has {len(rest)} "
        "besides the label and the held-out column",
        fix="fit the model on a data frame, so that it knows the names of its columns",
    )


def _found(name: str, available: tuple[str, ...]) -> str:
    """Return the column of the data that a model means; LightGBM writes `_` for a space."""
    by_model = {column.replace(" ", "_"): column for column in available}
    column = name if name in available else by_model.get(name)
    if column is not None:
        return column
    near = nearest(name, available)
    raise ConversionFailedError(
        f"The data has no column `{name}`, which the model takes.",
        why=f"the nearest is `{near}`" if near else "no column has a name like it",
        fix="fit the model on columns of the data; a column that the script makes must be made "
        "inside the pipeline, or be in the data",
    )
