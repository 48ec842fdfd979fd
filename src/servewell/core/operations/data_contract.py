"""Judge the rows that a model learned from: facts in, rows of the gate report out."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from servewell.core.catalog.data_facts import DataFacts, InputFacts, ValueKind
from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.signature import Datatype
from servewell.core.catalog.workload_data import ContractRules

Row: Final = partial(GateRow, group="data")
PASS: Final = GateVerdict.PASS
FAIL: Final = GateVerdict.FAIL


def judge_data(facts: DataFacts, rules: ContractRules) -> tuple[GateRow, ...]:
    """Return the rows of the group `data`.

    Each check gives one row where all is well, and one for each column where it is not.
    """
    return (*_schema(facts), *_missing(facts, rules))


def _schema(facts: DataFacts) -> Iterator[GateRow]:
    faults = [(one, why) for one in facts.inputs if (why := _type_fault(one))]
    for one, why in faults:
        yield Row(gate=f"schema: {one.name}", verdict=FAIL, because=why, rows=facts.rows)
    if not faults:
        because = f"all {len(facts.inputs)} inputs are there, of the types that the model takes"
        yield Row(gate="schema", verdict=PASS, because=because, rows=facts.rows)


def _type_fault(one: InputFacts) -> str:
    if one.kind is None:
        return f"there is no column `{one.name}`, which the model takes"
    if one.kind in _fitting(one.datatype):
        return ""
    return f"`{one.name}` holds values of the type {one.type}, and the model takes {one.datatype}"


def _fitting(datatype: Datatype) -> tuple[ValueKind, ...]:
    if datatype is Datatype.BYTES:
        return (ValueKind.TEXT,)
    if datatype is Datatype.BOOL:
        return (ValueKind.BOOL,)
    if datatype.is_integer:
        return (ValueKind.INTEGER, ValueKind.BOOL)
    return (ValueKind.NUMBER, ValueKind.INTEGER, ValueKind.BOOL)


def _missing(facts: DataFacts, rules: ContractRules) -> Iterator[GateRow]:
    bounds = rules.missing_max
    over = [one for one in facts.inputs if one.missing > bounds.get(one.name, 1.0)]
    for one in over:
        yield Row(
            gate=f"missing values: {one.name}",
            verdict=FAIL,
            because=f"{one.missing:.1%} of the rows lack `{one.name}`; "
            f"{bounds[one.name]:.1%} may by `data.contract.missing_max`",
            value=one.missing,
            bound=bounds[one.name],
            rows=facts.rows,
        )
    if not over:
        because = "no input lacks more values than declared"
        yield Row(gate="missing values", verdict=PASS, because=because, rows=facts.rows)
