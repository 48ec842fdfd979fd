"""What is different between two readings of a workload: the keys, never what they hold."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from servewell.core.catalog.workload import Workload

NAMED_MAX: Final = 8  # keys in a sentence; the others are counted


def changed_keys(before: Workload, after: Workload) -> tuple[str, ...]:
    """Return the dotted keys that hold something else, were added, or are gone; sorted."""
    old, new = (dict(_leaves(msgspec.to_builtins(one), "")) for one in (before, after))
    return tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))


def said_keys(keys: tuple[str, ...]) -> str:
    """Return keys as part of a sentence."""
    named = ", ".join(f"`{one}`" for one in keys[:NAMED_MAX])
    more = len(keys) - NAMED_MAX
    return f"{named} and {more:,} more" if more > 0 else named


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, part in value.items():
        yield from _leaves(part, f"{path}.{key}" if path else str(key))
