"""Conditions on runs, as people write them on the command line."""

import math
import re
from typing import Final, cast

from servewell.core.catalog.breach import shown
from servewell.core.catalog.run_query import Comparison, Condition
from servewell.errors import ServewellError

WRITTEN: Final = re.compile(
    r"\s*(?P<metric>[^<>=!]+?)\s*(?P<how><=|>=|!=|==|=|<|>)\s*(?P<value>\S+)\s*"
)


class RunFilterError(ServewellError):
    """A condition on runs cannot be understood."""

    code = "SW-150"


def condition_of(text: str) -> Condition:
    """Return the condition that a text such as `accuracy>=0.9` says.

    Raises: RunFilterError.
    """
    found = WRITTEN.fullmatch(text)
    value = _number(found["value"]) if found else None
    if found is None or value is None:
        raise RunFilterError(
            f"{shown(text)} is no condition.",
            why="a condition is a metric, one of < <= = != >= >, and a number",
            fix="write it like --where 'accuracy>=0.9', in quotes",
        )
    how = cast(Comparison, found["how"].replace("==", "="))
    return Condition(metric=found["metric"], comparison=how, value=value)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
