"""Judge how the rows of a model differ from those before, and from what is asked of it."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from servewell.core.catalog.data_facts import Against, Conversion, DataFacts, Shift, Shifts
from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.chi_square import chi_square_sf
from servewell.core.operations.false_discovery import discoveries

Row: Final = partial(GateRow, group="data")
PASS: Final = GateVerdict.PASS
FAIL: Final = GateVerdict.FAIL
CANNOT_TELL: Final = GateVerdict.CANNOT_TELL
INDEX: Final = "population stability index"

# The chi-square test of 20 bins finds an index of 0.1 with a chance of 80 % when its
# noncentrality, 0.1 N M / (N + M), is 21.
ROWS_MIN: Final = 210
USUAL_TIMES: Final = 5  # as far as a column that moves by itself may move, in its usual moves


def judge_shifts(facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    """Yield the rows about drift, changes of unit, unseen texts and train-serving skew."""
    found = {one.against: one for one in facts.shifts}
    yield from _units(facts)
    yield from _drift(found.get(Against.LAST), facts, rules)
    yield from _skew(found.get(Against.REQUESTS), rules)


def drifted(shifts: Shifts) -> tuple[Shift, ...]:
    """Return the columns whose drift no chance explains, by Benjamini and Hochberg at 5 %."""
    chances = [
        chi_square_sf(one.statistic, one.degrees) if one.degrees else 1.0 for one in shifts.columns
    ]
    significant = discoveries(chances)
    return tuple(one for one, yes in zip(shifts.columns, significant, strict=True) if yes)


def drift_bound(shift: Shift, rules: ContractRules) -> float:
    """Return the index from which the drift of a column is too much."""
    return max(rules.drift_max, USUAL_TIMES * shift.usual)


def conversion_words(found: Conversion) -> str:
    """Return in words what became of the values: `degrees Fahrenheit to Celsius: 0.56 x - 17.8`."""
    sign = "-" if found.offset < 0 else "+"
    offset = f" {sign} {abs(found.offset):.4g}" if found.offset else ""
    name = f"{found.name}: " if found.name else ""
    return f"{name}values are {found.factor:.3g} x{offset}"


def enough(shifts: Shifts) -> bool:
    """Whether there are rows enough on both sides to see an index of 0.1."""
    before, now = shifts.rows_before, shifts.rows_now
    return before * now >= ROWS_MIN * (before + now)


def _units(facts: DataFacts) -> Iterator[GateRow]:
    where = {
        Against.LAST: "of the new rows",
        Against.HELD_OUT: "of the held-out rows",
        Against.REQUESTS: "of recent requests",
    }
    found = [(s, c, c.conversion) for s in facts.shifts for c in s.columns if c.conversion]
    for shifts, column, conversion in found:
        share = "" if conversion.share >= 1 else f" in {conversion.share:.0%} of the rows"
        yield Row(
            gate=f"change of unit: {column.column}",
            verdict=FAIL,
            because=f"`{column.column}` {where[shifts.against]} looks like a change of unit"
            f"{share}, against {shifts.name}: {conversion_words(conversion)}",
            value=conversion.factor,
            rows=shifts.rows_now,
        )
    if facts.shifts and not found:
        because = "no column looks as if its unit had changed"
        yield Row(gate="change of unit", verdict=PASS, because=because, rows=facts.rows)


def _drift(shifts: Shifts | None, facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    if shifts is None:
        because = "there is no last training data to compare with"
        yield Row(gate="drift", verdict=CANNOT_TELL, because=because, required=False)
    elif not shifts.rows_now:
        because = f"no row is new since {shifts.name}"
        yield Row(gate="drift", verdict=PASS, because=because, rows=facts.rows)
    elif not enough(shifts):
        because = f"{shifts.rows_now:,} new rows since {shifts.name} are too few to tell"
        rows = shifts.rows_now
        yield Row(gate="drift", verdict=CANNOT_TELL, because=because, rows=rows, required=False)
    else:
        yield from _changes(shifts, rules, label=facts.label)


def _changes(shifts: Shifts, rules: ContractRules, *, label: str | None) -> Iterator[GateRow]:
    may = {*(rules.drift_may or ()), label}
    rows = list(_column_changes(shifts, rules, gate="drift", may=may))
    rows += _stopped(shifts, may=may)
    yield from rows
    if not any(one.required for one in rows):
        noted = f"; {len(rows)} noted" if rows else ""
        because = (
            f"no column of {shifts.rows_now:,} new rows drifted too far from {shifts.name}{noted}"
        )
        yield Row(gate="drift", verdict=PASS, because=because, rows=shifts.rows_now)


def _stopped(shifts: Shifts, *, may: set[str | None]) -> Iterator[GateRow]:
    for one in shifts.columns:
        if one.constant_now and one.missing_now < 1:
            yield Row(
                gate=f"constant column: {one.column}",
                verdict=FAIL,
                because=f"`{one.column}` has one value in all new rows, and had others in "
                f"{shifts.name}",
                rows=one.rows_now,
                required=one.column not in may,
            )


def _column_changes(
    shifts: Shifts, rules: ContractRules, *, gate: str, may: set[str | None]
) -> Iterator[GateRow]:
    significant = drifted(shifts)
    for one in shifts.columns:
        required = one.column not in may
        if one in significant and one.conversion is None:
            yield from _index_row(one, shifts, rules, gate=gate, required=required)
        yield from _missing_row(one, shifts, rules, gate=gate, required=required)
        yield from _unseen_row(one, shifts, rules, gate=gate, required=required)


def _index_row(
    one: Shift, shifts: Shifts, rules: ContractRules, *, gate: str, required: bool
) -> Iterator[GateRow]:
    bound = drift_bound(one, rules)
    if one.psi < rules.drift_note:
        return
    by_itself = f"; by itself it moves by {one.usual:.2f}" if one.usual > rules.drift_note else ""
    yield Row(
        gate=f"{gate}: {one.column}",
        verdict=FAIL,
        because=f"`{one.column}` drifted from {shifts.name}: the index is {one.psi:.2f}{by_itself}",
        value=one.psi,
        bound=bound,
        unit=INDEX,
        rows=one.rows_now,
        required=required and one.psi >= bound,
    )


def _missing_row(
    one: Shift, shifts: Shifts, rules: ContractRules, *, gate: str, required: bool
) -> Iterator[GateRow]:
    bound = min(1.0, max(one.missing_before, one.missing_usual) + rules.missing_rise_max)
    if one.missing_now > bound or (one.missing_now == 1 > one.missing_before):
        yield Row(
            gate=f"{gate}, missing values: {one.column}",
            verdict=FAIL,
            because=f"{one.missing_now:.1%} of the rows lack `{one.column}`; of {shifts.name} "
            f"{one.missing_before:.1%} do, and {one.missing_usual:.1%} at worst",
            value=one.missing_now,
            bound=bound,
            unit="share of rows",
            rows=one.rows_now,
            required=required,
        )


def _unseen_row(
    one: Shift, shifts: Shifts, rules: ContractRules, *, gate: str, required: bool
) -> Iterator[GateRow]:
    bound = min(1.0, one.unseen_usual + rules.unseen_max)
    if one.unseen:
        texts = ", ".join(f"`{text}`" for text in one.unseen_texts)
        yield Row(
            gate=f"{gate}, unseen texts: {one.column}",
            verdict=FAIL,
            because=f"{one.unseen:.2%} of the rows have a text in `{one.column}` that "
            f"{shifts.name} never held{': ' if texts else ''}{texts}",
            value=one.unseen,
            bound=bound,
            unit="share of rows",
            rows=one.rows_now,
            required=required and one.unseen > bound,
        )


def _skew(shifts: Shifts | None, rules: ContractRules) -> Iterator[GateRow]:
    gate = "train-serving skew"
    if shifts is None or not enough(shifts):
        count = 0 if shifts is None else shifts.rows_now
        because = f"{count:,} recent requests are too few to tell"
        yield Row(gate=gate, verdict=CANNOT_TELL, because=because, rows=count, required=False)
        return
    noted_only = () if rules.skew == "fail" else (one.column for one in shifts.columns)
    may: set[str | None] = set(noted_only)
    rows = list(_column_changes(shifts, rules, gate=gate, may=may))
    yield from rows
    in_another_unit = any(one.conversion for one in shifts.columns)  # a row of its own says so
    if not in_another_unit and not any(one.required for one in rows):
        noted = f"; {len(rows)} noted" if rows else ""
        because = f"{shifts.rows_now:,} recent requests do not call the training rows wrong{noted}"
        yield Row(gate=gate, verdict=PASS, because=because, rows=shifts.rows_now)
