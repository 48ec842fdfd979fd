"""Whose trace a request belongs to.

Source: W3C Trace Context Level 1, section 3.2 (`traceparent`); Level 2 draft, `traceresponse`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

PARENT: Final = b"traceparent"
STATE: Final = b"tracestate"
AZURE: Final = b"traceid"  # what Azure ML takes and gives back
SAMPLED: Final = 1  # bit of the flags
STATE_BYTES_MAX: Final = 512

_PARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_AZURE: Final = re.compile(rb"(?!0{32})[0-9a-f]{32}")


class Parent(NamedTuple):
    """The span of the caller, of which a request is a part."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    sampled: bool  # whether the caller keeps the trace


@lru_cache(maxsize=256)  # each is asked for once by the record, by the answer and by the span
def parent_of(header: bytes) -> Parent | None:
    """Return what a `traceparent` says, or None where it is not valid."""
    found = _PARENT.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if more and version == b"00":  # a later version may go on behind its flags
        return None
    return Parent(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & SAMPLED))


def trace_id_of(headers: Mapping[bytes, bytes], own: str) -> str:
    """Return the caller's trace id, or our `own` where it names none that is valid."""
    if PARENT in headers and (parent := parent_of(headers[PARENT])):
        return parent.trace_id
    if AZURE in headers and _AZURE.fullmatch(headers[AZURE]):
        return headers[AZURE].decode()
    return own


def state_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the `tracestate` that goes with a valid `traceparent`, or nothing."""
    state = headers.get(STATE, b"")
    fits = len(state) <= STATE_BYTES_MAX and state.isascii()
    return state.decode() if fits and state.decode().isprintable() else ""


def response_line(trace_id: str, span_id: str) -> bytes:
    """Return the header line that tells a caller which span of a sampled trace it caused."""
    return f"traceresponse: 00-{trace_id}-{span_id}-01\r\n".encode()
