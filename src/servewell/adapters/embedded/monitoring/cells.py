"""The values of one input or output over some rows, wherever they come from.

They come out of the prediction log as Arrow columns and out of a job as tensors. A missing number
of an input is null in the log and not-a-number in a tensor; a missing text is null or empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]
WORDS: Final = np.array(["false", "true"], dtype=object)  # of a boolean, as a category


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One value for each row: a number, several numbers, or a text out of a list.

    Of what is personal there are neither numbers nor texts.
    """

    there: Mask  # whether the row has this column at all
    missing: Mask
    numbers: Numbers | None = None  # (rows,) or (rows, width)
    texts: Whole | None = None  # by number of `words`; -1 where it is missing
    words: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Return how many values a row has."""
        return 1 if self.numbers is None or self.numbers.ndim == 1 else self.numbers.shape[1]

    @property
    def personal(self) -> bool:
        """Whether nothing is known but which rows have a value."""
        return self.numbers is None and self.texts is None

    @classmethod
    def of_tensor(cls, tensor: NDArray[Any], *, is_input: bool) -> Self:
        """Return the values of a tensor of so many rows, whatever its shape is beyond."""
        rows = len(tensor)
        there = np.ones(rows, np.bool_)
        flat = tensor.reshape(rows, -1)
        if tensor.dtype.kind in "OSUb":
            words = WORDS[flat[:, 0].astype(np.intp)] if tensor.dtype.kind == "b" else flat[:, 0]
            return cls._of_texts(pa.array(words.tolist(), type=pa.string()), there)
        numbers = flat.astype(np.float64, copy=False)
        alone = numbers[:, 0] if numbers.shape[1] == 1 else numbers
        absent = np.isnan(alone) if is_input and alone.ndim == 1 else ~there
        return cls(there=there, missing=absent, numbers=alone)

    @classmethod
    def of_column(cls, column: pa.Array, *, is_input: bool) -> Self:
        """Return the values of a column of the log. A null of an output was not asked for."""
        null = column.is_null().to_numpy(zero_copy_only=False)
        there = np.ones(len(column), np.bool_) if is_input else ~null
        if pa.types.is_list(column.type):
            return cls._of_lists(column, null, there)
        if pa.types.is_string(column.type):
            return cls._of_texts(column, there)
        if pa.types.is_boolean(column.type):
            return cls._of_texts(column.cast(pa.string()), there)
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)
        return cls(there=there, missing=null, numbers=numbers.to_numpy(zero_copy_only=False))

    @classmethod
    def of_tokens(cls, column: pa.Array, there: Mask, other: "Cells | None") -> Self:
        """Return a personal column; `other` is the one in which other rows have their values."""
        null = column.is_null().to_numpy(zero_copy_only=False)
        return cls(there=there, missing=null if other is None else null & other.missing)

    def within(self, there: Mask) -> Self:
        """Return the same, of these rows alone; the others do not have the column."""
        return type(self)(
            there=self.there & there,
            missing=self.missing,
            numbers=self.numbers,
            texts=self.texts,
            words=self.words,
        )

    @classmethod
    def joined(cls, those: "Sequence[Cells]") -> Self:
        """Return the rows of all, which are of one kind; of another width they are missing."""
        there = np.concatenate([one.there for one in those])
        if any(one.personal for one in those):
            return cls(there=there, missing=np.concatenate([one.missing for one in those]))
        if those[0].texts is not None:
            words = [cls._words(one) for one in those]
            return cls._of_texts(pa.array(np.concatenate(words).tolist(), type=pa.string()), there)
        width = those[0].width
        missing = [one.missing | (one.width != width) for one in those]
        numbers = [
            one.numbers
            if one.numbers is not None and one.width == width
            else np.full(len(one.there) if width == 1 else (len(one.there), width), np.nan)
            for one in those
        ]
        return cls(there=there, missing=np.concatenate(missing), numbers=np.concatenate(numbers))

    @staticmethod
    def _words(cells: "Cells") -> "NDArray[np.object_]":
        texts = cells.texts if cells.texts is not None else np.full(len(cells.there), -1)
        return np.array([*cells.words, ""], dtype=object)[texts]

    @classmethod
    def _of_texts(cls, column: pa.Array, there: Mask) -> Self:
        encoded = column.dictionary_encode()
        texts = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        words = tuple(encoded.dictionary.to_pylist())
        if "" in words:
            texts[texts == words.index("")] = -1
        return cls(there=there, missing=texts < 0, texts=texts, words=words)

    @classmethod
    def _of_lists(cls, column: pa.Array, null: Mask, there: Mask) -> Self:
        """Return lists of the usual length as a matrix; one of another length is missing."""
        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy(zero_copy_only=False)
        known = lengths[~null]
        width = int(np.bincount(known).argmax()) if len(known) else 0
        fits = lengths == width
        numeric = not pa.types.is_string(column.type.value_type)
        numbers = np.full((len(column), max(width, 1)), np.nan)
        if numeric and width:
            values = column.filter(pa.array(fits)).flatten().cast(pa.float64(), safe=False)
            filled = pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False)
            numbers[fits] = filled.reshape(-1, width)
        alone = numbers[:, 0] if numbers.shape[1] == 1 else numbers
        return cls(there=there, missing=~fits, numbers=alone)
