"""One thing that is wrong with a workload, and how a message repeats what was found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Path = tuple[str | int, ...]

SHOWN_MAX: Final = 60  # characters of a value that a message repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One rule that a workload breaks, by the path of the key."""

    path: Path
    found: str
    allowed: str
    hint: str = ""
    on_key: bool = False  # the fault is the key itself, not its value
    missing: bool = False  # the key is not there; its place is that of its parent
    meant: Path = ()  # the key that an unknown one looks like a typo of


def printable(text: str) -> str:
    """Return `text` with what a terminal could not show, or would obey, written as escapes."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def shown(value: object) -> str:
    """Return a value as a message repeats it: on one line, short, and safe to print."""
    match value:
        case None:
            return "nothing"
        case str():
            text = printable(value)
            return f'"{text[:SHOWN_MAX]}{"…" if len(text) > SHOWN_MAX else ""}"'
        case Mapping():
            return "keys with values"
        case list():
            return "a list"
        case _:
            return f"`{json.dumps(value)[:SHOWN_MAX]}`"
