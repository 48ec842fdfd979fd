"""Turns the rows of a behaviour file into tests, and names every fault that they have."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeGuard

from servewell.core.catalog.behaviour import BehaviourTest, Expectation, Value, answer_text
from servewell.core.catalog.breach import shown
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.catalog.workload_rules import nearest

KEYS: Final = (
    "name", "expect", "row", "change", "of", "answer", "at_least", "at_most", "within", "rows",
    "share",
)  # fmt: skip
NUMBERS: Final = ("at_least", "at_most", "within", "share")
CHANGES: Final = (Expectation.SAME, Expectation.NOT_LOWER, Expectation.NOT_HIGHER)
ROWS_MAX: Final = 10_000
TESTS_MAX: Final = 1_000
TWO: Final = 2

Raw = Mapping[str, Any]


def examined(
    rows: Sequence[object], signature: Signature
) -> tuple[tuple[BehaviourTest, ...], tuple[str, ...]]:
    """Return the tests that rows describe, and the faults of the others, each with its place."""
    tests, faults = [], []
    if not 0 < len(rows) <= TESTS_MAX:
        faults.append(f"found {len(rows):,} tests; allowed: 1 to {TESTS_MAX:,}")
    for number, row in enumerate(rows[:TESTS_MAX], start=1):
        if not isinstance(row, Mapping):
            faults.append(f"test {number}: found {shown(row)}; allowed: keys with values")
            continue
        place = f"test {number}" + (f" `{row['name']}`" if isinstance(row.get("name"), str) else "")
        found = [f"{place}: {one}" for one in _faults(row, signature)]
        faults += found
        if not found:
            tests.append(_test(row, number))
    return tuple(tests), tuple(faults)


def _test(row: Raw, number: int) -> BehaviourTest:
    return BehaviourTest(
        name=str(row.get("name") or f"test {number}"),
        expect=_expectation(row),
        row=dict(row.get("row") or {}),
        change=dict(row.get("change") or {}),
        of="" if row.get("of") is None else answer_text(row["of"]),
        answer=row.get("answer"),
        at_least=row.get("at_least"),
        at_most=row.get("at_most"),
        within=float(row.get("within") or 0.0),
        rows=int(row.get("rows") or 1),
        share=1.0 if row.get("share") is None else float(row["share"]),
    )


def _expectation(row: Raw) -> Expectation:
    return Expectation(row.get("expect") or Expectation.ANSWER)


def _faults(row: Raw, signature: Signature) -> Iterator[str]:
    for name in row:
        if name not in KEYS:
            near = nearest(str(name), KEYS)
            guess = f"; did you mean `{near}`?" if near else ""
            yield f"found the key {shown(name)}; allowed: {', '.join(KEYS)}{guess}"
    shape = list(_shape(row))
    yield from shape
    for part in ("row", "change"):
        if isinstance(row.get(part) or {}, Mapping):
            yield from _values(part, row.get(part) or {}, signature)
        else:
            yield f"`{part}`: found {shown(row[part])}; allowed: inputs with values"
    if not shape:
        yield from _kind(row, signature)


def _shape(row: Raw) -> Iterator[str]:
    for name in NUMBERS:
        if row.get(name) is not None and not _is_number(row[name]):
            yield f"`{name}`: found {shown(row[name])}; allowed: a number"
    expect = row.get("expect")
    if expect is not None and expect not in [one.value for one in Expectation]:
        allowed = ", ".join(f"`{one}`" for one in Expectation)
        yield f"`expect`: found {shown(expect)}; allowed: {allowed}"
    rows = row.get("rows")
    if rows is not None and not (_is_number(rows) and 1 <= rows <= ROWS_MAX and rows == int(rows)):
        yield f"`rows`: found {shown(rows)}; allowed: a whole number from 1 to {ROWS_MAX:,}"
    if _is_number(share := row.get("share")) and not 0 < share <= 1:
        yield f"`share`: found {shown(share)}; allowed: above 0, at most 1"
    if _is_number(within := row.get("within")) and within < 0:
        yield f"`within`: found {shown(within)}; allowed: 0 or more"


def _kind(row: Raw, signature: Signature) -> Iterator[str]:
    """Yield what a test of its kind lacks, or has too much of."""
    expect = _expectation(row)
    asked = [one for one in ("answer", "at_least", "at_most") if row.get(one) is not None]
    if expect in CHANGES:
        if not row.get("change"):
            yield f"found no `change`; allowed: the inputs that change, for `expect: {expect}`"
        if asked:
            yield f"found `{asked[0]}`; allowed with `expect: answer` alone"
    elif not asked:
        yield "found nothing to expect; allowed: `answer`, `at_least`, `at_most`, or `expect`"
    elif row.get("change"):
        yield "found `change`; allowed with `expect: same`, `not lower` or `not higher`"
    yield from _classes(row, signature, expect)


def _classes(row: Raw, signature: Signature, expect: Expectation) -> Iterator[str]:
    output = judged_output(signature)
    classes = output.classes or ()
    if (of := row.get("of")) is not None and answer_text(of) not in classes:
        allowed = _listed(classes) or "nothing: the model gives no probabilities"
        yield f"`of`: found {shown(of)}; allowed: {allowed}"
    if of is None and len(classes) > TWO and expect is not Expectation.SAME and not _labels(row):
        yield f"found no `of`; allowed: one of the classes {_listed(classes)}"
    answer = row.get("answer")
    if answer is not None and classes and answer_text(answer) not in classes:
        yield f"`answer`: found {shown(answer)}; allowed: one of {_listed(classes)}"
    if answer is not None and output.datatype.is_float and not classes and not _is_number(answer):
        yield f"`answer`: found {shown(answer)}; allowed: a number"
    if not output.datatype.is_float and not _labels(row) and expect is not Expectation.SAME:
        yield "the model answers labels alone; allowed: `answer`, or `expect: same`"


def _labels(row: Raw) -> bool:
    """Whether a test asks for an answer and nothing else."""
    return row.get("answer") is not None and row.get("at_least") is row.get("at_most") is None


def judged_output(signature: Signature) -> Output:
    """Return the output that tests speak of: probabilities, else numbers, else labels."""
    outputs = signature.outputs
    known = [one for one in outputs if one.classes]
    numbers = [one for one in outputs if one.datatype.is_float]
    return (known or numbers or list(outputs))[0]


def _values(part: str, values: Raw, signature: Signature) -> Iterator[str]:
    inputs = {one.name: one for one in signature.inputs}
    for name, value in values.items():
        if name not in inputs:
            near = nearest(str(name), inputs)
            guess = f"; did you mean `{near}`?" if near else ""
            yield f"`{part}`: found {shown(name)}, which is no input of the model{guess}"
        elif not _fits(inputs[name], value):
            yield f"`{part}.{name}`: found {shown(value)}; allowed: {_allowed(inputs[name])}"


def _fits(one: Input, value: Value) -> bool:
    if value is None:
        return one.nullable
    if one.datatype is Datatype.BYTES:
        return isinstance(value, str)
    if one.datatype is Datatype.BOOL:
        return isinstance(value, bool)
    if not _is_number(value):
        return False
    return one.datatype.is_float or isinstance(value, int) or value.is_integer()


def _allowed(one: Input) -> str:
    kinds = {Datatype.BYTES: "a text", Datatype.BOOL: "`true` or `false`"}
    plain = kinds.get(one.datatype, "a number" if one.datatype.is_float else "a whole number")
    return f"{plain}, or null" if one.nullable else plain


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(f"`{one}`" for one in classes[:10])


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
