"""Up to where the facts about a rollout were observed. It is kept with what they led to."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceCursor:
    """One place in each of what is followed."""

    records: str = ""  # of the prediction log; empty before the first look
    labels: int | None = None  # number of the last label; None before the first look


def written(cursor: EvidenceCursor) -> str:
    """Return the cursor as text."""
    return msgspec.json.encode(cursor).decode()


def cursor_of(text: str) -> EvidenceCursor:
    """Return what `written` gave; a text that is none begins anew."""
    try:
        return msgspec.json.decode(text, type=EvidenceCursor)
    except msgspec.DecodeError:
        return EvidenceCursor()
