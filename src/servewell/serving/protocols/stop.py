"""The paths by which an endpoint is stopped in an emergency, and resumed."""

from typing import Final

import msgspec

from servewell.core.catalog.key import Right
from servewell.core.catalog.stop import Constant
from servewell.serving.protocols.dialect import Kind, Route
from servewell.serving.protocols.oip import DIALECT
from servewell.serving.refusals import StopRefusedError

KINDS: Final[dict[tuple[str, ...], Kind]] = {("stop",): Kind.STOP, ("resume",): Kind.RESUME}


class StopBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a request to stop says."""

    because: str
    fallback: str = ""
    constant: dict[str, Constant] = {}


class ResumeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a request to resume says."""

    because: str = ""


def route(parts: tuple[str, ...]) -> Route | None:
    """Return what a path behind `/endpoints/NAME` asks for, or None where it is none of these."""
    kind = KINDS.get(parts)
    if kind is None:
        return None
    return Route(kind, DIALECT, methods=("POST",), right=Right.ADMINISTER)


def stop_body(body: bytes) -> StopBody:
    """Return what a request to stop says.

    Raises: StopRefusedError.
    """
    try:
        return msgspec.json.decode(body, type=StopBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(error, '{"because": "…"}, with "fallback" or "constant"') from error


def resume_body(body: bytes) -> ResumeBody:
    """Return what a request to resume says; an empty one says nothing.

    Raises: StopRefusedError.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=ResumeBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(error, '{"because": "…"}') from error


def _refused(error: Exception, like: str) -> StopRefusedError:
    return StopRefusedError(
        "The request cannot be read, and nothing was changed.",
        why=str(error),
        fix=f"send JSON like {like}",
    )
