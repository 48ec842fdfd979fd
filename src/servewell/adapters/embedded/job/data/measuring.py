"""The facts that the data contract is judged by."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servewell.adapters.embedded.job.held_out import check_held_out, held_out_rows
from servewell.core.catalog.data_facts import DataFacts, InputFacts, ValueKind
from servewell.core.catalog.signature import Input
from servewell.ports.data_measuring import DataQuestion


def measure_data(question: DataQuestion) -> DataFacts:
    """Return the facts of the rows.

    Raises: HeldOutRowsError; TrainingFailedError where a file is no Parquet.
    """
    check_held_out(question.data, question.held_out)
    table = pq.read_table(question.data)
    mask = held_out_rows(table, question.held_out)
    return DataFacts(
        rows=table.num_rows,
        held_out=int(pc.sum(mask).as_py() or 0),
        repeated=0,
        shared=0,
        inputs=tuple(_input_facts(table, one) for one in question.inputs),
        label=question.label,
    )


def kind_of(kind: pa.DataType) -> ValueKind:
    """Return what the values of an Arrow type are."""
    if pa.types.is_dictionary(kind):
        return kind_of(kind.value_type)
    for holds, found in _KINDS:
        if holds(kind):
            return found
    return ValueKind.OTHER


_KINDS = (
    (pa.types.is_string, ValueKind.TEXT),
    (pa.types.is_large_string, ValueKind.TEXT),
    (pa.types.is_boolean, ValueKind.BOOL),
    (pa.types.is_integer, ValueKind.INTEGER),
    (pa.types.is_floating, ValueKind.NUMBER),
    (pa.types.is_decimal, ValueKind.NUMBER),
    (pa.types.is_temporal, ValueKind.TIME),
)


def _input_facts(table: pa.Table, declared: Input) -> InputFacts:
    if declared.name not in table.column_names:
        return InputFacts(name=declared.name, datatype=declared.datatype, kind=None)
    column = table.column(declared.name)
    missing = int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
    return InputFacts(
        name=declared.name,
        datatype=declared.datatype,
        kind=kind_of(column.type),
        type=str(column.type),
        missing=missing / max(1, table.num_rows),
    )
