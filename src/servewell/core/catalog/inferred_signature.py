"""What the signature says of an input, from facts of the data and rules of the workload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from servewell.core.catalog.signature import Datatype, Input
from servewell.core.catalog.workload import InputRule
from servewell.core.catalog.workload_rules import nearest
from servewell.errors import ServewellError

CATEGORIES_MAX: Final = 200  # a text with more distinct values is free text or an id


class InputRuleError(ServewellError):
    """A rule of the workload names no input of the model, or cannot apply to it."""

    code = "SW-405"


class ColumnKind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    BOOL = "bool"
    INTEGER = "integer"
    NUMBER = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """What was seen of one column in the data."""

    name: str
    kind: ColumnKind
    missing: int = 0  # rows without a value
    distinct: tuple[str, ...] | None = None  # texts seen, sorted; None where over CATEGORIES_MAX
    minimum: float | None = None  # of a number; None where no row has a value
    maximum: float | None = None
    example: str | float | int | bool | None = None  # of one real held-out row


def datatype_of(facts: ColumnFacts) -> Datatype:
    """Return the tensor type that carries every value of a column.

    Only floating-point tensors can say that a number is missing, so a whole number or a boolean
    that was seen missing becomes one.
    """
    if facts.kind is ColumnKind.TEXT:
        return Datatype.BYTES
    if facts.missing or facts.kind is ColumnKind.NUMBER:
        return Datatype.FP32
    return Datatype.BOOL if facts.kind is ColumnKind.BOOL else Datatype.INT64


def infer_input(facts: ColumnFacts) -> Input:
    """Return the input that a column becomes."""
    return Input(
        name=facts.name,
        datatype=datatype_of(facts),
        nullable=facts.missing > 0,
        categories=facts.distinct,
        minimum_seen=facts.minimum,
        maximum_seen=facts.maximum,
        example=facts.example,
    )


def with_rule(plain: Input, rule: InputRule) -> Input:
    """Return an input with what the workload says of it.

    A personal input keeps its type and what the workload declares, and no fact of the data.
    """
    declared = replace(
        plain,
        description=rule.description,
        minimum=rule.minimum,
        maximum=rule.maximum,
        allowed=rule.allowed,
        personal=rule.personal,
    )
    if not rule.personal:
        return declared
    return replace(declared, categories=None, minimum_seen=None, maximum_seen=None, example=None)


def apply_rules(
    inputs: tuple[Input, ...], rules: Mapping[str, InputRule], slices: Sequence[str] = ()
) -> tuple[Input, ...]:
    """Return the inputs of a model with what the workload says of each.

    `slices` are the inputs whose texts are watched by themselves.

    Raises: InputRuleError, with every rule and slice that names no input or cannot apply to it.
    """
    by_name = {one.name: one for one in inputs}
    faults = [fault for name, rule in rules.items() if (fault := _fault(name, rule, by_name))]
    faults += [fault for name in slices if (fault := _slice_fault(name, rules, by_name))]
    if faults:
        raise InputRuleError(
            "The rules under `inputs` or the slices do not fit the model.",
            why="; ".join(faults),
            fix="correct `inputs` and `monitoring.slices` in the workload file; the model takes "
            + ", ".join(f"`{name}`" for name in by_name),
        )
    return tuple(with_rule(one, rules.get(one.name, InputRule())) for one in inputs)


def _fault(name: str, rule: InputRule, inputs: Mapping[str, Input]) -> str:
    if name not in inputs:
        return _no_input(name, inputs)
    number = inputs[name].datatype not in (Datatype.BYTES, Datatype.BOOL)
    bounded = rule.minimum is not None or rule.maximum is not None
    if bounded and not number:
        return f"`{name}` is no number, so it has no minimum or maximum"
    if rule.allowed is not None and inputs[name].datatype is not Datatype.BYTES:
        return f"`{name}` is no text, so it has no allowed texts"
    if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
        return f"the minimum of `{name}` is above its maximum"
    return ""


def _slice_fault(name: str, rules: Mapping[str, InputRule], inputs: Mapping[str, Input]) -> str:
    if name not in inputs:
        return f"`monitoring.slices`: {_no_input(name, inputs)}"
    if inputs[name].datatype not in (Datatype.BYTES, Datatype.BOOL):
        return f"`{name}` is no text, so it has no slices"
    if rules.get(name, InputRule()).personal:
        return f"`{name}` is personal, so it has no slices"
    return ""


def _no_input(name: str, inputs: Mapping[str, Input]) -> str:
    near = nearest(name, inputs)
    return f"the model has no input `{name}`" + (f" (did you mean `{near}`?)" if near else "")
