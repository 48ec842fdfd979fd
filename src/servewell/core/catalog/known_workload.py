"""A workload that this home was told of, and may act on by itself."""

from dataclasses import dataclass

from servewell.core.catalog.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWorkload:
    """A workload as it was last read."""

    name: str
    folder: str  # absolute; where its relative paths start
    digest: str  # SHA-256 of its file, hex; empty where it has another name than is usual
    workload: Workload
    at: float  # seconds since the epoch, UTC, when it was read
    principal: str
    overrides: tuple[str, ...] = ()  # `KEY=VALUE`: what it was brought up with beside its file
    data: str = ""  # the stamp of the data's files when it was read
    scheduled_from: float  # seconds since the epoch, UTC: what was due before is dealt with
    paused: str = ""  # why a person halted it; empty where nobody did
    fault: str = ""  # why it cannot be acted on, as it was said; empty where it can
    revision: int = 0  # of this row: grows with each save
