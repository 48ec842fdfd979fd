"""How the columns of a dataset look in a terminal, and in the tables of a page."""

from collections.abc import Iterator
from typing import Final

from servewell.core.catalog.data_facts import Shift, Shifts, ValueKind
from servewell.core.catalog.dataset import ColumnStatistics, DatasetVersion
from servewell.core.operations.data_shifts import conversion_words, drifted

LEVELS: Final = "▁▂▃▄▅▆▇█"
TOP_SHOWN: Final = 4


def statistics_rows(version: DatasetVersion) -> Iterator[tuple[str, ...]]:
    """Yield a row of words for each column: name, type, missing, different, drawing, values."""
    types = {one.name: one.type for one in version.columns}
    for one in version.statistics:
        share = one.missing / max(1, version.rows)
        yield (
            one.name,
            types.get(one.name, one.kind),
            f"{share:.1%}" if one.missing else "-",
            f"{one.distinct:,}",
            "" if one.personal else _drawing(one, version.rows),
            "personal: no value is told" if one.personal else _values(one, version.rows),
        )


def comparison_rows(shifts: Shifts) -> Iterator[tuple[str, ...]]:
    """Yield a row of words for each column: its drift, missing and unseen values, a remark."""
    significant = drifted(shifts)
    for one in shifts.columns:
        yield (
            one.column,
            f"{one.psi:.3f}{'*' if one in significant else ''}",
            f"{one.usual:.3f}",
            f"{one.missing_before:.1%} to {one.missing_now:.1%}",
            f"{one.unseen:.2%}" if one.unseen else "-",
            _special(one),
        )


def _special(one: Shift) -> str:
    if one.kind_before is None or one.kind_now is None:
        return "is new" if one.kind_before is None else "is gone"
    if one.conversion:
        return f"a change of unit? {conversion_words(one.conversion)}"
    return "one value only" if one.constant_now else ""


def _drawing(one: ColumnStatistics, rows: int) -> str:
    if one.histogram:
        return sparkline(one.histogram)
    return "".join(_level(count / max(1, rows)) for _, count in one.top)


def sparkline(counts: tuple[int, ...]) -> str:
    """Return counts as blocks, the highest as high as they go."""
    highest = max(counts, default=0) or 1
    return "".join(_level(count / highest) if count else " " for count in counts)


def _level(share: float) -> str:
    return LEVELS[min(len(LEVELS) - 1, int(share * len(LEVELS)))]


def _values(one: ColumnStatistics, rows: int) -> str:
    if one.kind is ValueKind.BOOL and one.mean is not None:
        return f"{one.mean:.1%} true"
    if one.quantiles:
        low, *_, high = one.quantiles
        return f"{low:g} … {one.quantiles[3]:g} … {high:g}, mean {one.mean:.4g}"
    if one.first:
        return f"{one.first} to {one.last}"
    told = [f"{text} {count / max(1, rows):.0%}" for text, count in one.top[:TOP_SHOWN]]
    return ", ".join(told) + (", …" if one.distinct > TOP_SHOWN else "")
