"""Reading the files of the prediction log column by column, some rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from servewell.adapters.embedded.monitoring.cells import Cells, Mask, Whole
from servewell.adapters.embedded.record_columns import columns_in, tensors_of
from servewell.adapters.embedded.record_tables import FileNote, completed, note_in
from servewell.core.catalog.prediction_record import SHADOW, STAGES
from servewell.core.catalog.profile import MINUTE_S

REQUEST: Final = ("prediction_id", "row", "time", "deployment", "package", "status", "code", "role")
SPENT: Final = tuple(f"{stage}_us" for stage in STAGES)
AHEAD_S: Final = 600  # of a record's time, that is no skew of clocks
MICROSECONDS: Final = 1_000_000
OK: Final = range(200, 300)  # of a status

Named = dict[str, Cells]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Some rows of a file, as they follow each other in it."""

    table: pa.Table
    note: FileNote
    counts: Mask  # rows of a prediction that was not in this file before
    begins: Mask  # the first row of a request
    times: Whole  # microseconds since the epoch

    def coded(self, name: str) -> tuple[Whole, list[str]]:
        """Return a column of texts as numbers of a list of them."""
        column = self.table[name].combine_chunks().dictionary_encode()
        codes = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, column.dictionary.to_pylist()

    def numbers(self, name: str) -> Whole:
        """Return a column of whole numbers, with zero where there is none."""
        filled = pc.fill_null(self.table[name].combine_chunks(), 0)
        numbers: Whole = filled.to_numpy(zero_copy_only=False).astype(np.int64)
        return numbers

    def valued(self) -> Mask:
        """Return which rows have values and were answered well."""
        status = self.numbers("status")
        has: Mask = self.table["row"].is_valid().to_numpy()
        return has & self.counts & (status >= OK.start) & (status < OK.stop)

    def shadows(self) -> Mask:
        """Return which rows are of a shadow, whose answers nobody got."""
        roles, words = self.coded("role")
        return np.array([word == SHADOW for word in words], np.bool_)[roles]

    def cells(self, package: str, rows: Mask) -> tuple[Named, Named]:
        """Return inputs and outputs of these rows of a package, by name.

        An input that is personal by any schema of the package in this file is so in all rows.
        """
        schemas = [one for one in self.note.schemas if one.package == package]
        hidden = {name for one in schemas for name, _, _, personal in one.inputs if personal}
        columns = {one.tensor: one.name for one in columns_in(self.table.schema)}
        live = ~self.shadows()[rows]  # the live record has the inputs of a shadow's
        mask = pa.array(rows)
        inputs: Named = {}
        outputs: Named = {}
        for tensor in dict.fromkeys(chain.from_iterable(map(tensors_of, schemas))):
            if tensor not in columns:
                continue
            values = self.table[columns[tensor]].filter(mask).combine_chunks()
            if tensor.side == "output":
                outputs[tensor.name] = Cells.of_column(values, is_input=False)
            elif tensor.name in hidden:
                inputs[tensor.name] = Cells.of_tokens(values, live, inputs.get(tensor.name))
            else:
                inputs[tensor.name] = Cells.of_column(values, is_input=True).within(live)
        return inputs, outputs


def minutes_of(times: Whole, now: float) -> tuple[Whole, Mask]:
    """Return the minute in which each row counts, and which are too far ahead of now."""
    seconds = times // MICROSECONDS
    ahead: Mask = seconds > now + AHEAD_S
    return np.where(ahead, int(now), seconds) // MINUTE_S * MINUTE_S, ahead


def portions(path: Path) -> Iterator[Portion]:
    """Yield the rows of a file, group by group.

    Raises: OSError, and what else of UNREADABLE a corrupt file leads to.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
        names = parquet.schema_arrow.names
        wanted = [*REQUEST, *SPENT, *(one.name for one in columns_in(parquet.schema_arrow))]
        present = [name for name in wanted if name in names]
        note = note_in(parquet.schema_arrow)
        seen = _Seen()
        for group in range(parquet.num_row_groups):
            table = completed(parquet.read_row_group(group, columns=present))
            yield _portion(table, note, seen)


class _Seen:
    """The predictions of a file so far; a shadow's is another one than the live one's."""

    def __init__(self) -> None:
        self._known: list[pa.Array] = []

    def is_new(self, ids: pa.Array) -> Mask:
        """Return which of these were not there before, nor earlier among themselves."""
        encoded = ids.dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        new = np.zeros(len(codes), np.bool_)
        new[np.unique(codes, return_index=True)[1]] = True
        for known in self._known:
            new &= ~pc.is_in(ids, value_set=known).to_numpy(zero_copy_only=False)
        self._known.append(encoded.dictionary)
        return new


def _portion(table: pa.Table, note: FileNote, seen: _Seen) -> Portion:
    begins = pc.fill_null(table["row"], 0).to_numpy() == 0
    ids = table["prediction_id"].combine_chunks()
    of_shadow = pc.equal(table["role"].combine_chunks(), SHADOW)
    marked = pc.binary_join_element_wise(ids, pc.if_else(of_shadow, "/", ""), "")
    new = seen.is_new(marked.filter(pa.array(begins)))
    request = np.cumsum(begins) - 1  # of each row, its number in this portion
    return Portion(
        table=table,
        note=note,
        counts=new[request],
        begins=begins,
        times=table["time"].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False),
    )
