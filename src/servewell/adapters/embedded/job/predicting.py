"""Makes a package of Python code, and proves that it answers as the code did where it was written.

The code answers the held-out rows twice: at its own place, all rows at once; then out of the
package, within its bounds, in parts. A file that the package lacks, or an answer that depends on
which rows come together, shows before anything is served.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job import mlflow_folder
from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.held_out import column_names
from servewell.adapters.embedded.job.packaging import Described, Known
from servewell.adapters.embedded.job.proof import feeds
from servewell.adapters.embedded.job.reference import write_reference
from servewell.adapters.embedded.job.rows import read_rows
from servewell.adapters.embedded.predictor import pyfunc
from servewell.adapters.embedded.predictor.packages import ProcessHost, host_of, pack
from servewell.core.catalog.inferred_signature import ColumnFacts, apply_rules, infer_input
from servewell.core.catalog.model import Equivalence
from servewell.core.catalog.signature import Datatype, Input, Output, Signature, example_row
from servewell.ports.predictors import (
    PredictorLostError,
    PredictorRaisedError,
    PredictorSlowError,
    PredictorStartError,
)
from servewell.ports.trainer import (
    Job,
    NotEquivalentError,
    PickleRefusedError,
    PredictorInvalidError,
    PredictorJob,
)

Array = NDArray[Any]
Columns = dict[str, Array]
Say = Callable[[str], None]

LOAD_WITHIN_S: Final = 600.0
ROWS_AT_ONCE: Final = 64  # in the second round; the first rows come alone
ALONE: Final = 8
TYPES: Final = {
    "bool": Datatype.BOOL,
    "int8": Datatype.INT8,
    "int16": Datatype.INT16,
    "int32": Datatype.INT32,
    "int64": Datatype.INT64,
    "uint8": Datatype.UINT8,
    "uint16": Datatype.UINT16,
    "uint32": Datatype.UINT32,
    "uint64": Datatype.UINT64,
    "float16": Datatype.FP16,
    "float32": Datatype.FP32,
    "float64": Datatype.FP64,
    "object": Datatype.BYTES,
}


def package_predictor(job: Job, code: PredictorJob, files: RunFiles, *, say: Say) -> Result:
    """Write the archive of a predictor, and return what else is to be known of it.

    Raises: PredictorInvalidError, NotEquivalentError, InputRuleError, HeldOutRowsError,
    PickleRefusedError, OSError.
    """
    source, contents = _contents(job, code, files)
    pack(source, contents, files.archive)
    say("inferring the signature")
    known = _known(job)
    inputs = apply_rules(known.inputs, job.inputs, job.slices)
    columns = _columns(known, inputs)
    say("running it where it was written")
    with closing(_host(code, files, source)) as host:
        wanted = _answers(host, columns, within_s=job.timeout_s)
    outputs = _outputs(wanted, rows=_count(columns))
    say(f"proving {_count(columns):,} rows out of its package")
    with closing(_host(code, files, None)) as host:
        equivalence = _proved(host, columns, wanted, job=job, code=code)
    signature = Signature(inputs=inputs, outputs=outputs)
    if not known.rows.empty:
        write_reference(job, signature, taken=columns, given=wanted, files=files, say=say)
    personal = {one.name for one in inputs if one.personal}
    example = {name: one for name, one in known.example.items() if name not in personal}
    return Result(
        signature=signature,
        equivalence=equivalence,
        metrics={},
        example=example or None,
        predictor=code.bounds,
    )


def _contents(job: Job, code: PredictorJob, files: RunFiles) -> tuple[Path, list[Path]]:
    """Return the folder that the package mirrors, and the files that go into it."""
    if code.script is not None:
        return job.folder, list(dict.fromkeys([code.script, *_files_of(code.files)]))
    if not job.allow_pickle or job.artifact is None:
        raise PickleRefusedError(
            "The MLflow model is not loaded.",
            why="a model of this kind may hold a pickle or code, which can run any program",
            fix="set `artifact.allow_pickle: true` in the workload file, if you trust where the "
            "folder comes from",
        )
    source = files.folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(job.artifact, source / pyfunc.FOLDER)
    shutil.copyfile(pyfunc.__file__, source / code.bounds.script)
    return source, list(_files_of([source]))


def _files_of(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        below = path.rglob("*") if path.is_dir() else (path,)
        yield from (one for one in below if one.is_file() and "__pycache__" not in one.parts)


def _host(code: PredictorJob, files: RunFiles, source: Path | None) -> ProcessHost:
    """Return the predictor at its own place, or out of its package."""
    log = files.folder / "predictor.log"
    if source is not None:
        return ProcessHost(source, code.bounds, python=code.python, log=log, keeps=True)
    return host_of(
        files.archive, code.bounds, place=files.folder / "trial", python=code.python, log=log
    )


def _known(job: Job) -> Known:
    described = mlflow_folder.described(job.artifact) if job.artifact else Described()
    if job.data is None:
        return _told(described)
    named = tuple(one.name for one in described.columns)
    aside = {job.label, job.held_out.column if job.held_out else None}
    names = named or tuple(one for one in column_names(job.data) if one not in aside)
    rows = read_rows(job.data, names, held_out=job.held_out, rules=job.inputs)
    return Known(
        inputs=tuple(infer_input(one) for one in rows.facts),
        rows=rows.held_out,
        example=rows.example,
    )


def _told(described: Described) -> Known:
    import pandas as pd  # noqa: PLC0415  # beside its one use

    if not described.columns:
        raise _invalid(
            "its folder has no signature of named columns, and the workload names no data",
            "save the model with a signature, or name a Parquet file under `data`",
        )
    facts = tuple(_with_example(one, described) for one in described.columns)
    return Known(
        inputs=tuple(infer_input(one) for one in facts),
        rows=pd.DataFrame(),
        example=dict(described.example),
    )


def _with_example(one: ColumnFacts, described: Described) -> ColumnFacts:
    from dataclasses import replace  # noqa: PLC0415

    return replace(one, example=described.example.get(one.name))


def _columns(known: Known, inputs: tuple[Input, ...]) -> Columns:
    """Return the held-out rows as a request brings them; one plain row where there are none."""
    if not known.rows.empty:
        return feeds(known.rows, inputs)
    import pandas as pd  # noqa: PLC0415  # beside its one use

    row = example_row(Signature(inputs=inputs, outputs=()))
    return feeds(pd.DataFrame({name: [value] for name, value in row.items()}), inputs)


def _answers(host: ProcessHost, columns: Columns, *, within_s: float) -> Columns:
    try:
        host.start(within_s=LOAD_WITHIN_S)
        return host.call(columns, within_s=within_s)
    except PredictorStartError as error:
        raise _invalid(error.why, "correct the script, or its requirements") from error
    except (PredictorRaisedError, PredictorLostError, PredictorSlowError) as error:
        raise _failed(error, _count(columns)) from error


def _proved(
    host: ProcessHost, columns: Columns, wanted: Columns, *, job: Job, code: PredictorJob
) -> Equivalence:
    try:
        host.start(within_s=LOAD_WITHIN_S)
    except PredictorStartError as error:
        fix = "name the files that it needs under `predictor.files`"
        raise _invalid(f"out of its package it does not load: {error.why}", fix) from error
    largest, rows = 0.0, _count(columns)
    for first, end in _parts(rows):
        part = {name: one[first:end] for name, one in columns.items()}
        try:
            answered = host.call(part, within_s=code.bounds.timeout_s)
        except (PredictorRaisedError, PredictorLostError, PredictorSlowError) as error:
            raise _failed(error, end - first) from error
        expected = {name: one[first:end] for name, one in wanted.items()}
        largest = max(largest, _difference(expected, answered, job.tolerance, first=first))
    return Equivalence(rows=rows, largest_difference=largest, tolerance=job.tolerance)


def _parts(rows: int) -> Iterator[tuple[int, int]]:
    yield from ((row, row + 1) for row in range(min(ALONE, rows)))
    for first in range(ALONE, rows, ROWS_AT_ONCE):
        yield first, min(first + ROWS_AT_ONCE, rows)


def _difference(wanted: Columns, answered: Columns, tolerance: float, *, first: int) -> float:
    """Return the largest difference of any number.

    Raises: NotEquivalentError where it is above the tolerance, or anything else differs.
    """
    if answered.keys() != wanted.keys():
        raise _not_equivalent(f"it answers {_named(answered)}, and not {_named(wanted)}")
    largest = 0.0
    for name, one in wanted.items():
        other = answered[name]
        if other.dtype != one.dtype or other.shape != one.shape:
            raise _not_equivalent(
                f"`{name}` is {other.dtype.name} of the shape {other.shape}, and not "
                f"{one.dtype.name} of {one.shape}"
            )
        apart = _apart(one, other)
        largest = max(largest, float(apart.max(initial=0.0)))
        if largest > tolerance:
            row = first + int(
                np.flatnonzero(apart.reshape(len(one), -1).max(axis=1) > tolerance)[0]
            )
            raise _not_equivalent(
                f"`{name}` of held-out row {row + 1} differs by {largest:.3g}, more than the "
                f"tolerance of {tolerance:g}"
            )
    return largest


def _apart(one: Array, other: Array) -> NDArray[np.float64]:
    """Return how far apart two answers are; what is no number is equal, or infinitely far."""
    if one.dtype.kind != "f":
        return np.where(one == other, 0.0, np.inf)
    both = np.isnan(one) & np.isnan(other)
    apart = np.abs(one.astype("float64") - other.astype("float64"))
    return np.where(both | (one == other), 0.0, np.nan_to_num(apart, nan=np.inf))


def _outputs(answers: Columns, *, rows: int) -> tuple[Output, ...]:
    if not answers:
        raise _invalid("`predict` returned nothing", "return an array for each output, by name")
    for name, one in answers.items():
        if one.shape[:1] != (rows,):
            raise _invalid(
                f"`{name}` has the shape {one.shape} for {rows} rows",
                "return one value, or one vector, for each row",
            )
    return tuple(
        Output(name=name, datatype=TYPES[one.dtype.name], row_shape=one.shape[1:])
        for name, one in answers.items()
    )


def _count(columns: Columns) -> int:
    return max((len(one) for one in columns.values()), default=0)


def _named(columns: Columns) -> str:
    return ", ".join(f"`{name}`" for name in sorted(columns)) or "nothing"


def _failed(error: Exception, rows: int) -> PredictorInvalidError:
    said = "it did not answer in its time" if isinstance(error, PredictorSlowError) else str(error)
    return _invalid(
        f"it failed on {rows:,} held-out rows: {said}",
        "correct `predict`; `predictor.log` beside the log of the run has its last words",
    )


def _invalid(why: str, fix: str) -> PredictorInvalidError:
    return PredictorInvalidError("The predictor cannot be packaged.", why=why, fix=fix)


def _not_equivalent(why: str) -> NotEquivalentError:
    return NotEquivalentError(
        "Out of its package the predictor answers otherwise.",
        why=why,
        fix="an answer may depend on its own row alone, because requests share a call, and on "
        "nothing outside the package; name what it reads under `predictor.files`",
    )
