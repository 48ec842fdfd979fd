"""By what the requests of one caller are known, so that one deployment answers them all."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import Decoded

HEADER: Final = "header:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """A header of the request, or an input of its first row."""

    header: bytes = b""  # in lower case; empty where it is an input
    place: int = -1  # of the input in the signature; -1 where it has none of that name
    as_float: bool = False
    lacks: str = ""  # why no caller is known by it

    def value(self, decoded: Decoded) -> bytes:
        """Return the value by which the caller is known; empty where the request has none.

        The same number gives the same value, however the protocol carries it.
        """
        column = decoded.columns[self.place] if self.place >= 0 else ()
        if isinstance(column, np.ndarray):
            column = column.reshape(-1)[:1].tolist()
        first = column[0] if column else None
        if first is None or first != first:  # noqa: PLR0124  (not-a-number alone differs from itself)
            return b""
        return str(float(first) if self.as_float else first).encode()


def sticky_by(rule: str, signature: Signature) -> Sticky | None:
    """Return what a rule of an endpoint means for a signature, or None where there is no rule."""
    if not rule:
        return None
    if rule.startswith(HEADER):
        return Sticky(header=rule.removeprefix(HEADER).lower().encode())
    for place, one in enumerate(signature.inputs):
        if one.name == rule:
            return Sticky(place=place, as_float=one.datatype.is_float)
    return Sticky(lacks=f"the model has no input `{rule}`")
