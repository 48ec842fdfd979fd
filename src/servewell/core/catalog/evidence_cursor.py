"""Up to where the facts about a rollout were observed. It is kept with what they led to."""

from dataclasses import dataclass

import msgspec

from servewell.errors import ServewellError


class CursorUnreadableError(ServewellError):
    """Text that says up to where records were observed is none that Servewell wrote."""

    code = "SW-543"

    @classmethod
    def of(cls, text: str, error: Exception) -> "CursorUnreadableError":
        """Return the error about this text."""
        return cls(
            "A place in the prediction log cannot be understood.",
            why=f"`{text[:80]}` is none that this release wrote: {error}",
            fix="begin anew from now on: cancel the rollout or stop the shadow, and start it again",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCursor:
    """One place in each of what is followed."""

    records: str = ""  # of the prediction log; empty before the first look
    labels: int | None = None  # number of the last label; None before the first look


def written(cursor: EvidenceCursor) -> str:
    """Return the cursor as text."""
    return msgspec.json.encode(cursor).decode()


def cursor_of(text: str) -> EvidenceCursor:
    """Return what `written` gave; an empty text is the cursor before the first look.

    Raises: CursorUnreadableError.
    """
    if not text:
        return EvidenceCursor()
    try:
        return msgspec.json.decode(text, type=EvidenceCursor)
    except msgspec.DecodeError as error:
        raise CursorUnreadableError.of(text, error) from error
