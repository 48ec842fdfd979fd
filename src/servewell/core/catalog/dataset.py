"""Rows for training or evaluation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a dataset version."""

    name: str
    type: str  # Arrow's word for it: `double`, `string`, `timestamp[us]`
    missing: int  # rows without a value


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """An immutable, content-addressed set of rows."""

    name: str
    number: int  # 1, 2, 3 … in the order they were first seen
    digest: str  # SHA-256 of the file, hex
    rows: int
    size_bytes: int
    columns: tuple[Column, ...]
    source: str  # where it was read from
    created_at: float  # seconds since the epoch, UTC
