"""Read the labels that hold, a page at a time."""

from collections.abc import Iterator
from typing import Final

from servewell.core.catalog.label import Label
from servewell.flows.platform import Platform
from servewell.ports.labels import LabelQuery

LABELS_AT_ONCE: Final = 5_000


def pages_of_labels(platform: Platform, query: LabelQuery) -> Iterator[tuple[Label, ...]]:
    """Yield the labels that hold of the rows asked for, in the order of adding.

    Raises: StateUnavailableError.
    """
    last = 0
    while True:
        found = platform.labels.holding(query, after=last, limit=LABELS_AT_ONCE)
        yield found
        if len(found) < LABELS_AT_ONCE:
            return
        last = found[-1].number
