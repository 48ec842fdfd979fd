"""What a user writes down of how a model must behave, one test a row."""

from dataclasses import dataclass, field
from enum import StrEnum

Value = str | float | int | bool | None


class Expectation(StrEnum):
    """What the answer must do."""

    SAME = "same"  # with the change it stays, within so much
    NOT_LOWER = "not lower"  # with the change it falls by no more than so much
    NOT_HIGHER = "not higher"
    ANSWER = "answer"  # it is this


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourTest:
    """One row of a behaviour file."""

    name: str
    expect: Expectation
    row: dict[str, Value] = field(default_factory=dict)  # inputs that differ from the base row
    change: dict[str, Value] = field(default_factory=dict)  # inputs, and what they change to
    answer: Value = None
    within: float = 0.0  # absolute, 0 or more
    rows: int = 1  # 1: the example of the signature with `row`; more: so many held-out rows
    share: float = 1.0  # of the rows for which it must hold, 0..1
