"""What the columns of a CSV file are, told by all of its values."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

ODD_MAX: Final = 0.01  # share of values, up to which they are taken for faults and not for texts
VALUES_MIN: Final = 100  # that this can be said of
MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")  # of a column that is no text
TEXT_MISSING: Final = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One thing that the values of a column may be."""

    words: str
    arrow: pa.DataType
    pattern: str  # RE2, of the whole value
    read: Callable[[str], object]  # raises ValueError


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


# From the narrowest to the widest. A number with zeros before it is an id, and so a text.
KINDS: Final[tuple[Kind, ...]] = (
    Kind(words="true or false", arrow=pa.bool_(), pattern="(?i:true|false)", read=_boolean),
    Kind(words="a whole number", arrow=pa.int64(), pattern=r"-?(0|[1-9]\d{0,17})", read=int),
    Kind(
        words="a number",
        arrow=pa.float64(),
        pattern=r"-?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?",
        read=float,
    ),
    Kind(
        words="a date",
        arrow=pa.date32(),
        pattern=r"\d{4}-\d{2}-\d{2}",
        read=date.fromisoformat,
    ),
    Kind(
        words="a time",
        arrow=pa.timestamp("us"),
        pattern=r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?",
        read=datetime.fromisoformat,
    ),
)
TEXT: Final = Kind(words="a text", arrow=pa.string(), pattern=".*", read=str)


@dataclass(slots=True)
class Guess:
    """What the values of one column seen so far may be."""

    values: int = 0
    odd: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(len(KINDS)), 0))

    def look(self, column: Any) -> None:  # noqa: ANN401  # pyarrow is untyped
        """Count the values that are none of each kind, of a part of the column."""
        held = column.filter(pc.invert(pc.is_in(column, value_set=pa.array(MISSING))))
        self.values += len(held)
        for place in list(self.odd):
            fits = pc.sum(pc.match_substring_regex(held, f"^(?:{KINDS[place].pattern})$")).as_py()
            self.odd[place] += len(held) - int(fits or 0)
            if self.odd[place] > ODD_MAX * max(self.values, VALUES_MIN):
                del self.odd[place]

    def kind(self) -> tuple[Kind, int]:
        """Return what the column is, and how many of its values are not."""
        fitting = [place for place, odd in self.odd.items() if not odd]
        if fitting and self.values:
            return KINDS[fitting[0]], 0
        near = [place for place, odd in self.odd.items() if odd <= ODD_MAX * self.values]
        if near and self.values >= VALUES_MIN:
            best = min(near, key=lambda place: (self.odd[place], place))
            return KINDS[best], self.odd[best]
        return TEXT, 0


def typed(column: Any, kind: Kind) -> Any:  # noqa: ANN401  # pyarrow is untyped
    """Return texts as what they are, missing ones as null.

    Raises: pyarrow.ArrowInvalid where a value is none.
    """
    missing = TEXT_MISSING if kind is TEXT else MISSING
    empty = pc.is_in(column, value_set=pa.array(missing))
    held = pc.if_else(empty, pa.scalar(None, pa.string()), column)
    return held.cast(kind.arrow)


def is_value(text: str, kind: Kind) -> bool:
    """Whether a text is missing or a value of a kind."""
    if text in (TEXT_MISSING if kind is TEXT else MISSING):
        return True
    if not pc.match_substring_regex(pa.scalar(text), f"^(?:{kind.pattern})$").as_py():
        return kind is TEXT
    try:
        kind.read(text)
    except ValueError:
        return False
    return True


def kinds_of(names: Iterable[str], guesses: Iterable[Guess], texts: Iterable[str]) -> list[Kind]:
    """Return the kinds of columns; those in `texts` are texts whatever they look like."""
    told = frozenset(texts)
    return [
        TEXT if name in told else guess.kind()[0]
        for name, guess in zip(names, guesses, strict=True)
    ]
