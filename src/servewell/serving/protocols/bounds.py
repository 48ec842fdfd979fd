"""The smallest and the largest number that an input takes.

A bound is held as the datatype holds it: 0.1 as FP32 is a little more than 0.1, and a caller who
sends it to an input with `maximum: 0.1` has sent the maximum, in JSON as in binary.
"""

import math
from functools import cache
from typing import Final

import numpy as np

from servewell.core.catalog.signature import Datatype, Input
from servewell.serving.protocols.columns import NUMBER_BOUNDS
from servewell.serving.runtimes.model import DTYPES

NOTHING: Final = (1, 0)  # bounds between which no number lies


def bounds_of(declared: Input) -> tuple[float, float]:
    """Return the bounds of a number, both inclusive and within its type; whole for integers."""
    least, most = NUMBER_BOUNDS[declared.datatype]
    low = max(least, least if declared.minimum is None else minimum_of(declared))
    high = min(most, most if declared.maximum is None else maximum_of(declared))
    if low > most or high < least:
        return NOTHING
    if declared.datatype.is_integer:
        return math.ceil(low), math.floor(high)
    return low, high


def minimum_of(declared: Input) -> float:
    """Return the declared minimum, or minus infinity; never above it as its datatype holds it."""
    if declared.minimum is None:
        return -math.inf
    return min(declared.minimum, _held(declared.minimum, declared.datatype))


def maximum_of(declared: Input) -> float:
    """Return the declared maximum, or infinity; never below it as its datatype holds it."""
    if declared.maximum is None:
        return math.inf
    return max(declared.maximum, _held(declared.maximum, declared.datatype))


@cache  # a signature has few bounds, and a request may have a million elements
def _held(bound: float, datatype: Datatype) -> float:
    if not datatype.is_float:
        return bound
    with np.errstate(over="ignore"):
        held: float = np.asarray(bound).astype(DTYPES[datatype]).item()
    return held
