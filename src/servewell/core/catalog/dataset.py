"""Rows for training or evaluation."""

from dataclasses import dataclass

from servewell.core.catalog.data_facts import ValueKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a dataset version."""

    name: str
    type: str  # Arrow's word for it: `double`, `string`, `timestamp[us]`
    missing: int  # rows without a value


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStatistics:
    """What one column holds. Of a personal one no value is told, and no distribution."""

    name: str
    kind: ValueKind
    missing: int  # rows without a value
    distinct: int  # different values, the missing not counted
    personal: bool = False
    mean: float | None = None  # of numbers; of booleans the share that is true
    quantiles: tuple[float, ...] = ()  # 0, 5, 25, 50, 75, 95 and 100 %
    histogram: tuple[int, ...] = ()  # rows in 20 bins of the same width, from lowest to highest
    first: str = ""  # of times, ISO
    last: str = ""
    top: tuple[tuple[str, int], ...] = ()  # the most frequent texts, and their rows


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """An immutable, content-addressed set of rows."""

    name: str
    number: int  # 1, 2, 3 … in the order they were first seen
    digest: str  # SHA-256 of the file, hex
    rows: int
    size_bytes: int
    columns: tuple[Column, ...]
    source: str  # where it was read from, without a secret
    created_at: float  # seconds since the epoch, UTC
    statistics: tuple[ColumnStatistics, ...] = ()  # made with it
    removed_at: float | None = None  # when its rows went; what is said of them here stays
    removed_because: str = ""

    @property
    def reference(self) -> str:
        """The version as people write it: `name:number`."""
        return f"{self.name}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPolicy:
    """Whose a dataset is, who may read it, and how long its versions are kept."""

    name: str
    owner: str
    readers: tuple[str, ...] | None = None  # beside the owner; None: whoever uses this home
    retention_days: int | None = None  # of each version; None: until it is removed
    personal: tuple[str, ...] = ()  # columns whose values are never told
