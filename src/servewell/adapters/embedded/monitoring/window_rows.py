"""Window profiles and traffic windows as rows of the database, and back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy.engine import RowMapping

from servewell.core.catalog.profile import Counts, TrafficWindow, WindowProfile

if TYPE_CHECKING:
    from datasketches import kll_floats_sketch  # type: ignore[import-untyped]  # has no types

SKETCH_K: Final = 200  # of a KLL sketch: rank error of at most 1.33 % in 99 % of cases

Row = dict[str, object]


class _Column(msgspec.Struct, array_like=True):
    places: tuple[int, ...]
    total: float = 0.0
    squares: float = 0.0
    least: float | None = None
    greatest: float | None = None
    unseen: dict[str, int] = {}


class _Profile(msgspec.Struct, array_like=True):
    rows: dict[str, int]
    counts: dict[str, dict[str, _Column]]


class _Traffic(msgspec.Struct, array_like=True):
    requests: int
    failed: int
    refused: int
    slow: int
    late: int
    skewed: int
    repeated: int
    lost: int
    codes: dict[str, int]
    latency: bytes
    damaged: int = 0  # rows of earlier releases end without it


_encode = msgspec.msgpack.Encoder().encode
_profile = msgspec.msgpack.Decoder(_Profile).decode
_traffic = msgspec.msgpack.Decoder(_Traffic).decode


def profile_row(window: WindowProfile) -> Row:
    """Return a window profile as a row of `profile_window`."""
    counts = {
        name: {column: _column(one) for column, one in columns.items()}
        for name, columns in window.counts.items()
    }
    return {
        "endpoint": window.endpoint,
        "deployment": window.deployment,
        "package": window.package,
        "seconds": window.seconds,
        "start": window.start,
        "rows": sum(window.rows.values()),
        "body": _encode(_Profile(rows=window.rows, counts=counts)),
    }


def profile_of(row: RowMapping) -> WindowProfile:
    """Return the window profile of a row."""
    body = _profile(row["body"])
    return WindowProfile(
        endpoint=row["endpoint"],
        deployment=row["deployment"],
        package=row["package"],
        start=row["start"],
        seconds=row["seconds"],
        rows=body.rows,
        counts={
            name: {column: _counts(one) for column, one in columns.items()}
            for name, columns in body.counts.items()
        },
    )


def traffic_row(window: TrafficWindow) -> Row:
    """Return a traffic window as a row of `traffic_window`."""
    body = _Traffic(**{name: getattr(window, name) for name in _Traffic.__struct_fields__})
    return {
        "endpoint": window.endpoint,
        "deployment": window.deployment,
        "seconds": window.seconds,
        "start": window.start,
        "body": _encode(body),
    }


def traffic_of(row: RowMapping) -> TrafficWindow:
    """Return the traffic window of a row."""
    return TrafficWindow(
        endpoint=row["endpoint"],
        deployment=row["deployment"],
        start=row["start"],
        seconds=row["seconds"],
        **msgspec.structs.asdict(_traffic(row["body"])),
    )


def merged_sketches(sketches: Sequence[bytes]) -> bytes:
    """Return the sketch of all values of these; of none it is empty."""
    if len(sketches) == 1:
        return sketches[0]
    return sketch_of(sketches).serialize() if sketches else b""


def sketch_of(sketches: Sequence[bytes]) -> "kll_floats_sketch":
    """Return the sketches merged, ready to be asked."""
    from datasketches import kll_floats_sketch  # noqa: PLC0415  (it brings numpy: slow to import)

    merged = kll_floats_sketch(SKETCH_K)
    for one in sketches:
        merged.merge(kll_floats_sketch.deserialize(one))
    return merged


def _column(counts: Counts) -> _Column:
    return _Column(
        counts.places, counts.total, counts.squares, counts.least, counts.greatest, counts.unseen
    )


def _counts(column: _Column) -> Counts:
    return Counts(
        places=column.places,
        total=column.total,
        squares=column.squares,
        least=column.least,
        greatest=column.greatest,
        unseen=column.unseen,
    )
