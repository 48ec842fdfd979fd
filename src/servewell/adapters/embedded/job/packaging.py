"""Makes of a trained model what can be served: ONNX, a signature, and a proof."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import onnx
import onnxruntime
import pandas as pd

from servewell.adapters.embedded.job.conversion import Layout, convert, layouts
from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.graph import described_outputs, package_onnx, trial_rows
from servewell.adapters.embedded.job.held_out import column_names
from servewell.adapters.embedded.job.proof import open_session, prove
from servewell.adapters.embedded.job.rows import read_rows
from servewell.adapters.embedded.job.trained import Trained, keeps_missing_text, recognise
from servewell.core.catalog.inferred_signature import (
    ColumnFacts,
    ColumnKind,
    apply_rules,
    infer_input,
)
from servewell.core.catalog.model import Equivalence, Parameter
from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.core.catalog.workload_rules import nearest
from servewell.errors import ServewellError
from servewell.ports.trainer import ConversionFailedError, Job, NotEquivalentError

Say = Callable[[str], None]

TORCH_KINDS: Final = frozenset(
    {"torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the place that a model was kept in says of its columns."""

    columns: tuple[ColumnFacts, ...] = ()
    example: dict[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model as its library knows it, and what came with it."""

    model: object
    metrics: dict[str, float] = field(default_factory=dict)
    described: Described = field(default_factory=Described)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a model's inputs, and the rows that it can be proved on."""

    inputs: tuple[Input, ...]
    rows: pd.DataFrame  # held out; none where the workload names no data
    example: dict[str, Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A model as ONNX, and the proof of it."""

    model: bytes
    equivalence: Equivalence


def package(loaded: Loaded, job: Job, files: RunFiles, *, say: Say) -> Result:
    """Write the ONNX file of a model, and return what else is to be known of it.

    Raises: ConversionFailedError, NotEquivalentError, InputRuleError, HeldOutRowsError,
    TrainingFailedError where the data cannot be read, OSError.
    """
    if isinstance(loaded.model, onnx.ModelProto):
        return package_onnx(loaded.model, job, files, say=say, metrics=loaded.metrics)
    trained = _recognised(loaded.model)
    say("inferring the signature")
    known = _known(trained, job, loaded.described)
    inputs = apply_rules(known.inputs, job.inputs, job.slices)
    converted = Conversion(
        trained=trained, inputs=inputs, rows=known.rows, tolerance=job.tolerance, say=say
    ).first_proved()
    files.artifact.write_bytes(converted.model)
    outputs = described_outputs(
        open_session(converted.model), trial_rows(inputs), classes=trained.classes
    )
    personal = {one.name for one in inputs if one.personal}
    example = {name: one for name, one in known.example.items() if name not in personal}
    return Result(
        signature=Signature(inputs=inputs, outputs=outputs),
        equivalence=converted.equivalence,
        metrics=loaded.metrics,
        example=example or None,
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
        if self.rows.empty:
            return Converted(model=model, equivalence=self._unproved())
        self.say(f"proving {len(self.rows):,} held-out rows")
        equivalence = prove(
            session, self.trained, self.rows, inputs=self.inputs, tolerance=self.tolerance
        )
        return Converted(model=model, equivalence=equivalence)

    def _unproved(self) -> Equivalence:
        return Equivalence(rows=0, largest_difference=0.0, tolerance=self.tolerance)

    def _session(self, model: bytes) -> onnxruntime.InferenceSession:
        try:
            return open_session(model)
        except Exception as error:
            raise ConversionFailedError(
                f"The ONNX form of a {type(self.trained.model).__name__} does not run.",
                why=" ".join(str(error).split())[:400],
                fix="export the model to ONNX yourself and name it as `artifact`",
            ) from error


def _recognised(model: object) -> Trained:
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(model).__mro__}
    if not kinds & TORCH_KINDS:
        return recognise(model)
    from servewell.adapters.embedded.job.torch_program import TorchModel  # noqa: PLC0415 - heavy

    return TorchModel(model)


def _known(trained: Trained, job: Job, described: Described) -> Known:
    """Return what the data says of the inputs; without data, what the model and its place say."""
    if job.data is None:
        return _told(trained, described)
    columns = _columns(trained, job, column_names(job.data))
    rows = read_rows(job.data, columns, held_out=job.held_out, rules=job.inputs)
    gaps = {one.name for one in rows.facts if one.kind is ColumnKind.TEXT and one.missing}
    if gaps and keeps_missing_text(trained.model):
        raise ConversionFailedError(
            "The model was fitted on missing texts.",
            why=f"a null in a request reaches it as an empty text, which is not what it learned "
            f"for a missing {' or '.join(f'`{name}`' for name in sorted(gaps))}",
            fix="fill them before fitting: `frame[texts] = frame[texts].fillna('')`",
        )
    return Known(
        inputs=tuple(infer_input(one) for one in rows.facts),
        rows=rows.held_out,
        example=rows.example,
    )


def _told(trained: Trained, described: Described) -> Known:
    """Return the inputs by name where names are known, else one input as wide as the model."""
    by_name = {one.name: one for one in described.columns}
    names = trained.names or tuple(by_name)
    if not names or len(names) != (trained.width or len(names)):
        if trained.width is None:
            raise ConversionFailedError(
                "It cannot be told what the model takes.",
                why="it knows neither the names nor the number of its columns, and the workload "
                "names no data",
                fix="name a Parquet file with rows like those it was fitted on under `data`",
            )
        table = Input(name="input", datatype=Datatype.FP32, row_shape=(trained.width,))
        return Known(inputs=(table,), rows=pd.DataFrame(), example={})
    facts = tuple(
        replace(
            by_name.get(name, ColumnFacts(name=name, kind=ColumnKind.NUMBER)),
            example=described.example.get(name),
        )
        for name in names
    )
    whole = all(one.example is not None for one in facts)
    row = {one.name: [one.example] for one in facts}
    return Known(
        inputs=tuple(infer_input(one) for one in facts),
        rows=pd.DataFrame(row if whole else {}),
        example={one.name: one.example for one in facts} if whole else {},
    )


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
