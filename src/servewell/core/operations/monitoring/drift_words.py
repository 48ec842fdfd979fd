"""What is said of drift."""

from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.drift import ColumnDrift, DriftVerdict
from servewell.core.catalog.workload_monitoring import DriftRules

NAMED_MAX: Final = 4
UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def because_of(
    verdict: DriftVerdict, columns: Sequence[ColumnDrift], *, rules: DriftRules, seconds: int
) -> str:
    """Return why the whole has its verdict; `seconds` is the length of a window."""
    if not columns:
        return "no column of the reference profile was counted"
    if verdict is DriftVerdict.FINE:
        return _fine(columns, rules=rules)
    columns = [one for one in columns if not one.may]
    if verdict is DriftVerdict.DRIFT:
        return _drifting(columns, rules=rules, seconds=seconds)
    if verdict is DriftVerdict.WATCH:
        return (
            f"{_named(columns, DriftVerdict.WATCH)} differ from the reference more than chance "
            f"gives, and it is no drift: not by an index of {rules.index:g} in "
            f"{_windows(rules, seconds)}"
        )
    return too_few(columns, rules=rules)


def _fine(columns: Sequence[ColumnDrift], *, rules: DriftRules) -> str:
    counted = [one for one in columns if not one.may]
    told = [one for one in counted if one.verdict is not DriftVerdict.CANNOT_TELL]
    few = len(counted) - len(told)
    none = (
        f"none of {len(told)} columns differs from the reference by an index of {rules.index:g}, "
        "which so many rows would show"
    )
    parts = [
        none,
        f"{few:,} columns of slices have too few rows to tell" if few else "",
        *(f"{name(one)} moved, as it may" for one in columns if one.may and one.windows),
    ]
    return "; ".join(part for part in parts if part)


def _drifting(columns: Sequence[ColumnDrift], *, rules: DriftRules, seconds: int) -> str:
    drifting = [one for one in columns if one.verdict is DriftVerdict.DRIFT]
    broken = [one for one in drifting if one.faults]
    if broken:
        told = "; ".join(f"{name(one)}: {', '.join(one.faults)}" for one in broken[:NAMED_MAX])
        return f"{told}, which no drift of the world does"
    return (
        f"{_named(columns, DriftVerdict.DRIFT)} moved by an index of {rules.index:g} or more in "
        f"{_windows(rules, seconds)}, more than chance gives"
    )


def too_few(columns: Sequence[ColumnDrift], *, rules: DriftRules) -> str:
    """Return how many rows there are, and how many it would take."""
    few = [one for one in columns if one.verdict is DriftVerdict.CANNOT_TELL and not one.slice]
    needed = [one.rows_needed for one in few if one.rows_needed is not None]
    if len(needed) < len(few):
        return (
            f"the reference profile has too few rows to find an index of {rules.index:g}, however "
            "many are served"
        )
    return (
        f"{min((one.rows for one in few), default=0):,} rows in the window; it takes "
        f"{max(needed, default=0):,} to find an index of {rules.index:g} in four of five cases "
        f"among {len(columns)} columns"
    )


def remark(told: str, *, explained: bool, held: bool) -> str:
    """Return what moved, with what the time of day has to do with it."""
    if explained:
        return f"{told}; as at these hours of the days before".lstrip("; ")
    if held:
        because = "not served for a whole day yet, so the time of day may explain it"
        return f"{told}; {because}".lstrip("; ")
    return told


def name(one: ColumnDrift) -> str:
    """Return a column as it is spoken of."""
    return f"`{one.column}` of {one.slice}" if one.slice else f"`{one.column}`"


def length(seconds: float) -> str:
    """Return how long a window is: `1 h`, `7 d`."""
    for size, unit in UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _named(columns: Sequence[ColumnDrift], verdict: DriftVerdict) -> str:
    found = [one for one in columns if one.verdict is verdict]
    told = ", ".join(f"{name(one)} ({one.psi:.2f})" for one in found[:NAMED_MAX])
    more = f" and {len(found) - NAMED_MAX} more" if len(found) > NAMED_MAX else ""
    return f"{told}{more}"


def _windows(rules: DriftRules, seconds: int) -> str:
    if rules.windows == 1:
        return f"a window of {length(seconds)}"
    return f"{rules.windows} consecutive windows of {length(seconds)}"
