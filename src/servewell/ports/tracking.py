"""A tracking server, and a registry, of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.tracked import RunCopy
from servewell.errors import ServewellError


class TrackingFailedError(ServewellError):
    """A tracking server cannot be reached, refuses, or does not understand."""

    code = "SW-435"

    def __init__(self, what: str, *, why: str, fix: str, of_one: bool = False) -> None:
        super().__init__(what, why=why, fix=fix)
        self.of_one = of_one  # whether it lies in what was sent, and other things may be taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server keeps a run."""

    run: str  # id there
    version: str = ""  # number of the registered version there; empty for none


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryVersion:
    """A version in a registry of others."""

    number: int
    ours: bool  # whether it is a copy of one of a Servewell home


class Tracking(Protocol):
    """Speaks with tracking servers. Contract: tests/ports/test_tracking.py.

    - `mirror` may be repeated at any time, also after it was killed in between: a run has one copy
      there, and a version one.

    All methods raise TrackingFailedError.
    """

    def mirror(self, url: str, copy: RunCopy, files: Mapping[str, Path]) -> Place:
        """Make the run there like this one; `files` has each of its files, and `model`."""
        ...

    def versions(self, url: str, model: str) -> tuple[RegistryVersion, ...]:
        """Return the versions of a model there, by number; none where there is no such model."""
        ...

    def fetch(self, url: str, model: str, number: int, *, to: Path) -> Path:
        """Load the files of a version into a folder; return the folder of MLflow within."""
        ...
