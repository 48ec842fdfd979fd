"""Judge the rows that a model learned from: facts in, rows of the gate report out.

Each check gives one row where all is well, and one for each column where it is not. A row that is
not required is a note: it tells, and fails nothing.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Final

from servewell.core.catalog.data_facts import (
    Against,
    DataFacts,
    InputFacts,
    Leak,
    Power,
    Shift,
    ValueKind,
)
from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.signature import Datatype
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.data_shifts import judge_shifts
from servewell.core.operations.wilson import interval

Row: Final = partial(GateRow, group="data")
PASS: Final = GateVerdict.PASS
FAIL: Final = GateVerdict.FAIL
CANNOT_TELL: Final = GateVerdict.CANNOT_TELL

NORMAL_95: Final = 1.96  # both ends of a 95 % interval
REPEATED_NOTE: Final = 0.2  # share of rows that is worth a look where no bound is declared
SHARED_NOTE: Final = 0.05  # as above, of held-out rows
BURST_RISE: Final = 0.5  # share of missing values in a part of the rows, above that of all


def judge_data(facts: DataFacts, rules: ContractRules) -> tuple[GateRow, ...]:
    """Return the rows of the group `data`.

    Units:  shares in 0..1; the index of drift is the population stability index.
    Raises: nothing.
    """
    return (
        *_schema(facts),
        *_ranges(facts, rules),
        *_missing(facts, rules),
        *_bursts(facts),
        *_constants(facts),
        *_copies(facts, rules),
        *_leakage(facts, rules),
        *judge_shifts(facts, rules),
    )


def _schema(facts: DataFacts) -> Iterator[GateRow]:
    faults = [(one.name, why) for one in facts.inputs if (why := _type_fault(one))]
    faults += [(one.column, why) for one in _last(facts) if (why := _type_change(one))]
    for name, why in dict(faults).items():
        yield Row(gate=f"schema: {name}", verdict=FAIL, because=why, rows=facts.rows)
    if not faults:
        because = f"all {len(facts.inputs)} inputs are there, of the types that the model takes"
        yield Row(gate="schema", verdict=PASS, because=because, rows=facts.rows)


def _last(facts: DataFacts) -> tuple[Shift, ...]:
    found = [one.columns for one in facts.shifts if one.against is Against.LAST]
    return found[0] if found else ()


def _type_fault(one: InputFacts) -> str:
    if one.kind is None:
        return f"there is no column `{one.name}`, which the model takes"
    if one.kind in _fitting(one.datatype):
        return ""
    return f"`{one.name}` holds values of the type {one.type}, and the model takes {one.datatype}"


def _type_change(one: Shift) -> str:
    before, now = one.kind_before, one.kind_now
    numbers = (ValueKind.INTEGER, ValueKind.NUMBER)
    if before is None or now is None or before is now or (before in numbers and now in numbers):
        return ""
    return f"`{one.column}` held values of the kind {before} in the last training data, now {now}"


def _fitting(datatype: Datatype) -> tuple[ValueKind, ...]:
    if datatype is Datatype.BYTES:
        return (ValueKind.TEXT,)
    if datatype is Datatype.BOOL:
        return (ValueKind.BOOL,)
    if datatype.is_integer:
        return (ValueKind.INTEGER, ValueKind.BOOL)
    return (ValueKind.NUMBER, ValueKind.INTEGER, ValueKind.BOOL)


def _ranges(facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    over = [one for one in facts.inputs if one.outside > rules.outside_max * facts.rows]
    for one in over:
        yield Row(
            gate=f"ranges: {one.name}",
            verdict=FAIL,
            because=f"{one.outside:,} of {facts.rows:,} rows hold what `inputs` does not allow: "
            + _what_is_outside(one),
            value=one.outside / max(1, facts.rows),
            bound=rules.outside_max,
            unit="share of rows",
            rows=facts.rows,
        )
    if not over:
        because = "every value is one that `inputs` allows"
        yield Row(gate="ranges", verdict=PASS, because=because, rows=facts.rows)


def _what_is_outside(one: InputFacts) -> str:
    if one.allowed is not None:
        texts = ", ".join(f"`{text}`" for text in one.not_allowed) or "other texts"
        return f"{texts}; allowed are {', '.join(f'`{text}`' for text in one.allowed)}"
    bounds = [f"{one.minimum:g} or more"] if one.minimum is not None else []
    bounds += [f"{one.maximum:g} or less"] if one.maximum is not None else []
    seen = "" if one.lowest is None else f"they go from {one.lowest:g} to {one.highest:g}, and "
    return f"{seen}allowed is {' and '.join(bounds)}"


def _missing(facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    over = [one for one in facts.inputs if one.missing > rules.missing_max.get(one.name, 1.0)]
    for one in over:
        yield Row(
            gate=f"missing values: {one.name}",
            verdict=FAIL,
            because=f"{one.missing:.1%} of the rows lack `{one.name}`; "
            f"{rules.missing_max[one.name]:.1%} may by `data.contract.missing_max`",
            value=one.missing,
            bound=rules.missing_max[one.name],
            unit="share of rows",
            rows=facts.rows,
        )
    if facts.label is not None and facts.label_missing >= 1:
        because = f"no row has the label `{facts.label}`"
        yield Row(gate="missing values: label", verdict=FAIL, because=because, rows=facts.rows)
    elif not over:
        because = "no input lacks more values than declared"
        yield Row(gate="missing values", verdict=PASS, because=because, rows=facts.rows)


def _bursts(facts: DataFacts) -> Iterator[GateRow]:
    for one in facts.inputs:
        if one.burst > one.missing + BURST_RISE:
            yield Row(
                gate=f"burst of missing values: {one.name}",
                verdict=FAIL,
                because=f"{one.burst:.0%} of {one.burst_at} lack `{one.name}`, of all rows "
                f"{one.missing:.1%}",
                value=one.burst,
                bound=one.missing + BURST_RISE,
                unit="share of rows",
                rows=facts.rows,
                required=False,
            )


def _constants(facts: DataFacts) -> Iterator[GateRow]:
    constant = [one for one in facts.inputs if one.constant and one.kind is not None]
    for one in constant:
        because = f"`{one.name}` has the same value in all rows: nothing can be learned from it"
        gate = f"constant column: {one.name}"
        yield Row(gate=gate, verdict=FAIL, because=because, rows=facts.rows, required=False)


def _copies(facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    yield _share_row(
        "repeated rows",
        "rows are copies of another",
        count=facts.repeated,
        of=facts.rows,
        bound=rules.repeated_max,
        noted=REPEATED_NOTE,
    )
    yield _share_row(
        "rows in both parts",
        "held-out rows are copies of a training row: those prove nothing",
        count=facts.shared,
        of=facts.held_out,
        bound=rules.shared_max,
        noted=SHARED_NOTE,
    )


def _share_row(  # noqa: PLR0913 - what was counted, of what, and what it is held to
    gate: str, what: str, *, count: int, of: int, bound: float | None, noted: float
) -> GateRow:
    """Return a row that fails when the share is above its bound beyond what chance would do.

    Without a bound it is a note on a share above `noted`.
    """
    low, high = interval(count, of)
    declared, bound = bound is not None, noted if bound is None else bound
    return Row(
        gate=gate,
        verdict=FAIL if low > bound else PASS,
        required=declared,
        because=f"{count:,} of {of:,} {what}" if count else f"no {what.partition(':')[0]}",
        value=count / max(1, of),
        low=low,
        high=high,
        bound=bound,
        unit="share of rows",
        rows=of,
    )


def _leakage(facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    if facts.label is None:
        because = "the workload names no label"
        yield Row(gate="label leakage", verdict=CANNOT_TELL, because=because, required=False)
        return
    if facts.label_among_inputs:
        because = f"the label `{facts.label}` is an input of the model"
        yield Row(gate="label leakage", verdict=FAIL, because=because, rows=facts.rows)
        return
    bad = [one for one in facts.leaks if max(_low(one), one.missing) > rules.leakage_max]
    for one in bad:
        yield _leak_row(one, rules)
    if facts.leaks and not bad:
        best = max(facts.leaks, key=lambda one: one.value)
        because = f"no input alone tells the label; the best, `{best.name}`, has {best.value:.3f}"
        yield Row(
            gate="label leakage",
            verdict=PASS,
            because=because,
            value=best.value,
            bound=rules.leakage_max,
            unit=best.by,
            rows=best.rows,
        )


def _leak_row(leak: Leak, rules: ContractRules) -> GateRow:
    by_missing = leak.missing > rules.leakage_max
    what = "whether it is missing" if by_missing else "it alone"
    return Row(
        gate=f"label leakage: {leak.name}",
        verdict=FAIL,
        because=f"`{leak.name}` gives the label away: {what} tells it with {leak.value:.3f} "
        f"({leak.by}); it is hardly known before the label is",
        value=leak.value,
        low=_low(leak),
        bound=rules.leakage_max,
        unit=leak.by,
        rows=leak.rows,
    )


def _low(leak: Leak) -> float:
    """Return the lower end of the 95 % interval, with as many rows of the class as not.

    Source: Hanley and McNeil 1982, Radiology 143, 29-36, equation 1; for a correlation, Fisher.
    """
    value, half = leak.value, max(1.0, leak.rows / 4)  # only every second row was ordered
    if leak.by is Power.CORRELATION:
        return math.tanh(math.atanh(min(value, 1 - 1e-9)) - NORMAL_95 / math.sqrt(2 * half))
    first, second = value / (2 - value), 2 * value * value / (1 + value)
    spread = value * (1 - value) + (half - 1) * (first + second - 2 * value * value)
    return value - NORMAL_95 * math.sqrt(max(0.0, spread)) / half
