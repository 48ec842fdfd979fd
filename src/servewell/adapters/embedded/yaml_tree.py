"""YAML with the place of every key and value, and none of what makes YAML dangerous.

Scalars follow the core schema of YAML 1.2: `no` is text, and so is a date. Anchors, aliases and
tags are refused, and so are a second document, a key written twice, and nesting or size that no
workload needs; each is a fault with its place. Nothing else is raised, whatever the text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Protocol

import yaml
from yaml.events import (
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

DEPTH_MAX: Final = 16
VALUES_MAX: Final = 20_000
TEXT_SHOWN_MAX: Final = 60
WHOLE_MAX: Final = (1 << 63) - 1  # the largest whole number that every store can hold
NO_NAME: Final = "(no name)"  # stands for a key that is no text

Step = str | int
Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in the text."""

    line: int  # from 1
    column: int  # from 1, in characters
    override: str = ""  # the text, where it is no file


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFault:
    """Something that the text may not hold."""

    place: Place
    path: Path
    found: str
    allowed: str
    hint: str = ""
    on_key: bool = False  # it stays a fault whatever the value


@dataclass(slots=True, kw_only=True)
class Tree:
    """What a text holds. `data` has `None` wherever `broken` names the path."""

    data: object = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    faults: list[TreeFault] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)  # a fault says all there is to say


class _Mark(Protocol):
    line: int  # from 0
    column: int  # from 0


class _StopError(Exception):
    """Nothing after this place can be read."""


def read_tree(text: str) -> Tree:
    """Return what `text` holds, with its faults; where it is no YAML, the root is broken."""
    builder = _Builder()
    try:
        builder.read(text)
    except _StopError:
        builder.tree.broken.add(())
    return builder.tree


class _Builder:
    def __init__(self) -> None:
        self.tree = Tree()
        self._next: Callable[[], Event] = StreamEndEvent
        self._values = 0

    def read(self, text: str) -> None:
        """Fill the tree with the one document of `text`."""
        self._next = self._events(text)
        self._next()  # the start of the stream
        if isinstance(self._next(), DocumentStartEvent):
            self.tree.data = self._value(self._next(), ())
            self._next()  # the end of the document
            if not isinstance(after := self._next(), StreamEndEvent):
                self._fault(after, (), found="a second document", allowed="one document in a file")

    def _events(self, text: str) -> Callable[[], Event]:
        """Return what gives the next event, or stops with a fault where the text is no YAML."""
        loader: list[yaml.SafeLoader] = []

        def following() -> Event:
            try:
                if not loader:
                    loader.append(yaml.SafeLoader(text))
                event: Event = loader[0].get_event()  # type: ignore[no-untyped-call]  # untyped
            except yaml.MarkedYAMLError as error:
                raise self._no_yaml(_of_mark(error.problem_mark), _words(error)) from None
            except ReaderError as error:
                place = place_of(text, error.position)
                raise self._no_yaml(place, f"the character {_code(error.character)}") from None
            except (ValueError, OverflowError):
                # The parser does not expect an escape, or a version, that no number can hold.
                mark = loader[0].get_mark()
                raise self._no_yaml(_of_mark(mark), "an escape that is no character") from None
            return event

        return following

    def _no_yaml(self, place: Place, found: str) -> _StopError:
        tab = "'\\t'" in found
        self.tree.faults.append(
            TreeFault(
                place=place,
                path=(),
                found="a tab" if tab else found,
                allowed="YAML",
                hint="indent with spaces; YAML allows no tabs there" if tab else "",
            )
        )
        return _StopError()

    def _value(self, event: Event, path: Path) -> object:
        self.tree.values.setdefault(path, _of_mark(event.start_mark))
        self._values += 1
        if len(path) > DEPTH_MAX or self._values > VALUES_MAX:
            limits = f"at most {VALUES_MAX:,} values, nested at most {DEPTH_MAX} deep"
            self._fault(event, path, found="more than a workload needs", allowed=limits)
            raise _StopError
        match event:
            case ScalarEvent():
                self._properties(event, path)
                return self._scalar(event, path)
            case SequenceStartEvent():
                self._properties(event, path)
                return self._sequence(path)
            case MappingStartEvent():
                self._properties(event, path)
                return self._mapping(path)
            case _:
                self._refuse(event, path, "an alias", "write the value out")
                self.tree.broken.add(path)
                return None

    def _properties(self, event: ScalarEvent | CollectionStartEvent, path: Path) -> None:
        if event.anchor is not None:
            self._refuse(event, path, "an anchor", "leave it out: nothing may refer to it")
        if event.tag is not None:
            self._refuse(event, path, "a tag", "leave it out: every key knows its type")

    def _refuse(self, event: Event, path: Path, found: str, hint: str) -> None:
        self._fault(event, path, found=found, allowed="plain keys and values", hint=hint)

    def _mapping(self, path: Path) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            name = self._name(event, path)
            here = (*path, name)
            if name in entries and name != NO_NAME:
                first = self.tree.keys[here]
                found = f"the key again; it stands on line {first.line} already"
                self._fault(event, here, found=found, allowed="each key once", on_key=True)
            self.tree.keys.setdefault(here, _of_mark(event.start_mark))
            entries.setdefault(name, self._value(self._next(), here))
        return entries

    def _name(self, event: Event, path: Path) -> str:
        """Return the name that a key is, with a fault where it is no plain text."""
        if isinstance(event, ScalarEvent) and not event.anchor and not event.tag:
            if _is_text(event.value):
                return str(event.value)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            self._value(event, (*path, NO_NAME))
        self._refuse(event, (*path, NO_NAME), "a key that is no plain text", "write a name")
        self.tree.broken.add((*path, NO_NAME))
        return NO_NAME

    def _sequence(self, path: Path) -> list[object]:
        items: list[object] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _scalar(self, event: ScalarEvent, path: Path) -> object:
        text: str = event.value
        if not _is_text(text):
            self._refuse(event, path, "a character that no text can hold", "leave it out")
            self.tree.broken.add(path)
            return None
        if event.tag is not None:
            self.tree.broken.add(path)
        if event.style is not None:
            return text
        try:
            return _plain(text)
        except OverflowError:
            found = f"`{text[:TEXT_SHOWN_MAX]}`"
            self._fault(event, path, found=found, allowed="a finite number of at most 64 bits")
            self.tree.broken.add(path)
            return None

    def _fault(  # noqa: PLR0913  # the parts of a fault
        self,
        event: Event,
        path: Path,
        *,
        found: str,
        allowed: str,
        hint: str = "",
        on_key: bool = False,
    ) -> None:
        place = _of_mark(event.start_mark)
        self.tree.faults.append(
            TreeFault(
                place=place, path=path, found=found, allowed=allowed, hint=hint, on_key=on_key
            )
        )


def _plain(text: str) -> str | int | float | bool | None:
    """Resolve a scalar without quotes as the core schema of YAML 1.2 does.

    Raises: OverflowError where it is a number that is not finite or needs more than 64 bits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise OverflowError(text)
    if _INTEGER.fullmatch(text):
        number = int(text) if len(text) <= TEXT_SHOWN_MAX else WHOLE_MAX + 1
        if abs(number) > WHOLE_MAX:
            raise OverflowError(text)
        return number
    if not _FLOAT.fullmatch(text):
        return text
    if not isfinite(real := float(text)):
        raise OverflowError(text)
    return real


_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LINE_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # as YAML 1.1 and PyYAML count


def place_of(text: str, position: int) -> Place:
    """Return the place of the character at `position`."""
    before = _LINE_BREAK.split(text[:position])
    return Place(line=len(before), column=len(before[-1]) + 1)


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _of_mark(mark: _Mark | None) -> Place:
    if mark is None:
        return Place(line=1, column=1)
    return Place(line=mark.line + 1, column=mark.column + 1)


def _words(error: yaml.MarkedYAMLError) -> str:
    if error.context and error.context_mark:
        return f"{error.problem}, {error.context} that starts on line {error.context_mark.line + 1}"
    return str(error.problem)


def _code(character: str | int) -> str:
    return f"U+{character if isinstance(character, int) else ord(character):04X}"
