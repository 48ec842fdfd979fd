"""Makes the reference profile of a new version: what it takes and gives on held-out rows."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.held_out import column_names, held_out_rows, sampled
from servewell.adapters.embedded.job.held_out_quality import write_quality
from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.rows import plain_frame
from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.grouping import Table, reference_of
from servewell.core.catalog.signature import Datatype, Input, Signature
from servewell.core.operations.monitoring.profiles import finite
from servewell.ports.trainer import Job

ROWS_AT_ONCE: Final = 4_096
NUMPY: Final = {
    Datatype.BOOL: "bool",
    Datatype.FP16: "float16",
    Datatype.FP32: "float32",
    Datatype.FP64: "float64",
    Datatype.BYTES: "object",
}

Tensors = Mapping[str, NDArray[Any]]


def write_reference(  # noqa: PLR0913 - of what, from what, where to
    job: Job,
    signature: Signature,
    *,
    taken: Tensors,
    given: Tensors,
    files: RunFiles,
    say: Callable[[str], None],
) -> None:
    """Write the reference profile of what a model took and gave. Raises: OSError."""
    rows = len(next(iter(given.values()), ()))
    if job.data is None or not rows:
        return
    table = Table(
        inputs={name: Cells.of_tensor(one, is_input=True) for name, one in taken.items()},
        outputs={name: Cells.of_tensor(one, is_input=False) for name, one in given.items()},
    )
    source = f"{rows:,} held-out rows of {job.dataset or job.data.name}"
    made = reference_of(signature, table, rows=rows, slices=job.slices, source=source)
    files.reference.write_bytes(msgspec.json.encode(finite(made), order="deterministic"))
    for name in job.slices:
        if name not in made.slices:
            say(f"`{name}` has no slices: no text of it that enough held-out rows have")
    write_quality(job, made, table, given, files=files)


def write_reference_of_onnx(
    job: Job, result: Result, files: RunFiles, say: Callable[[str], None]
) -> None:
    """Write the reference profile of an ONNX model, where the data has the columns that it takes.

    Without it the first rows that are served take its place. Raises: OSError.
    """
    inputs = result.signature.inputs
    names = [one.name for one in inputs]
    plain = all(one.row_shape in ((), (1,)) for one in inputs)
    if job.data is None or not plain or not set(column_names(job.data)).issuperset(names):
        return
    say("making the reference profile")
    try:
        taken = _tensors(_held_out(job, names), inputs)
        given = _answers(open_session(files.artifact.read_bytes()), taken)
    except Exception as error:  # noqa: BLE001  # of an imported model, whatever does not fit
        say(f"no reference profile: {type(error).__name__}: {str(error)[:200]}")
        return
    write_reference(job, result.signature, taken=taken, given=given, files=files, say=say)


def _held_out(job: Job, names: list[str]) -> pd.DataFrame:
    aside = [job.held_out.column] if job.held_out else []
    table = pq.read_table(job.data, columns=list(dict.fromkeys([*names, *aside])))
    table = table.filter(held_out_rows(table, job.held_out)).select(names)
    return plain_frame(table.take(sampled(table.num_rows)))


def _tensors(rows: pd.DataFrame, inputs: tuple[Input, ...]) -> dict[str, NDArray[Any]]:
    return {
        one.name: rows[one.name]
        .to_numpy(dtype=NUMPY.get(one.datatype, one.datatype.value.lower()))
        .reshape(-1, *one.row_shape)
        for one in inputs
    }


def _answers(session: onnxruntime.InferenceSession, taken: Tensors) -> dict[str, NDArray[Any]]:
    names = [one.name for one in session.get_outputs()]
    parts = [session.run(None, part) for part in _parts(taken)]
    return {
        name: np.concatenate(given)
        for name, given in zip(names, zip(*parts, strict=True), strict=True)
    }


def _parts(taken: Tensors) -> Iterator[dict[str, NDArray[Any]]]:
    rows = len(next(iter(taken.values())))
    for first in range(0, rows, ROWS_AT_ONCE):
        yield {name: one[first : first + ROWS_AT_ONCE] for name, one in taken.items()}
