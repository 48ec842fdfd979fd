"""A home as it would be with another file of a workload: to try rules before they hold."""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn, cast

from servewell.core.catalog.known_workload import KnownWorkload
from servewell.flows.platform import Platform
from servewell.ports.state import StateConflictError
from servewell.ports.workloads import Workloads


def read_edited(platform: Platform, file: Path) -> KnownWorkload:
    """Return the workload of this home that a file describes, as it would be with it.

    Raises: WorkloadFaultsError, WorkloadMissingError, StateUnavailableError.
    """
    workload, _ = platform.workload_files.read(file)
    known = platform.workloads.get(workload.workload)
    if known.overrides:  # they hold over the file whenever it is read
        workload, _ = platform.workload_files.read(file, known.overrides)
    return replace(known, workload=workload)


def with_workload(platform: Platform, edited: KnownWorkload) -> Platform:
    """Return the platform where one workload is another. None can be kept in it."""
    return cast("Platform", _WithWorkload(platform, edited))


class _WithWorkload:
    """`Platform` as it is, but for its workloads."""

    def __init__(self, platform: Platform, edited: KnownWorkload) -> None:
        self._platform = platform
        self.workloads = _Edited(platform.workloads, edited)

    def __getattr__(self, name: str) -> object:
        return getattr(self._platform, name)


class _Edited:
    """`Workloads` as they are, but for one of them, and to read alone."""

    def __init__(self, workloads: Workloads, edited: KnownWorkload) -> None:
        self._workloads = workloads
        self._edited = edited

    def save(self, known: KnownWorkload) -> NoReturn:
        """See `Workloads.save`."""
        raise StateConflictError(
            f"The workload `{known.name}` is not kept.",
            why="its file is only tried here",
            fix="`servewell up FOLDER` lets it hold",
        )

    def get(self, name: str) -> KnownWorkload:
        """See `Workloads.get`."""
        return self._edited if name == self._edited.name else self._workloads.get(name)

    def list(self) -> tuple[KnownWorkload, ...]:
        """See `Workloads.list`."""
        return tuple(self.get(one.name) for one in self._workloads.list())
