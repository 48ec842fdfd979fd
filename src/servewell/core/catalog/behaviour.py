"""What a user writes down of how a model must behave, one test a row."""

from dataclasses import dataclass, field
from enum import StrEnum

Value = str | float | int | bool | None


class Expectation(StrEnum):
    """What the answer must do."""

    SAME = "same"  # with the change it stays, within so much
    NOT_LOWER = "not lower"  # with the change it falls by no more than so much
    NOT_HIGHER = "not higher"
    ANSWER = "answer"  # it is so, without a change


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourTest:
    """One row of a behaviour file."""

    name: str
    expect: Expectation
    row: dict[str, Value] = field(default_factory=dict)  # inputs that differ from the base row
    change: dict[str, Value] = field(default_factory=dict)  # inputs, and what they change to
    of: str = ""  # the class whose probability is meant; empty for the last
    answer: Value = None  # class, or number
    at_least: float | None = None  # of the number
    at_most: float | None = None
    within: float = 0.0  # absolute, 0 or more
    rows: int = 1  # 1: the example of the signature; more: so many held-out rows
    share: float = 1.0  # of the rows for which it must hold, 0..1

    @property
    def about(self) -> str:
        """The test in a sentence."""
        where = f"where {_told(self.row)}" if self.row else "as the rows are"
        within = f" by more than {self.within:g}" if self.within else ""
        change = f"{where}, {_told(self.change)} must not"
        match self.expect:
            case Expectation.SAME:
                return f"{change} change the answer{within}"
            case Expectation.NOT_LOWER:
                return f"{change} lower the answer{within}"
            case Expectation.NOT_HIGHER:
                return f"{change} raise the answer{within}"
            case Expectation.ANSWER:
                return f"{where}, the answer must be {self._wanted}"

    @property
    def _wanted(self) -> str:
        bounds = [
            f"{words} {bound:g}"
            for words, bound in (("at least", self.at_least), ("at most", self.at_most))
            if bound is not None
        ]
        if self.answer is not None:
            bounds.insert(0, answer_text(self.answer))
        return " and ".join(bounds)


def answer_text(value: Value) -> str:
    """Return an answer as classes are written: true and 1.0 are `1`."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def _told(values: dict[str, Value]) -> str:
    shown = ("null" if one is None else str(one) for one in values.values())
    return ", ".join(f"{name} = {one}" for name, one in zip(values, shown, strict=True))
