"""Workload files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from servewell.core.catalog.workload import Workload
from servewell.errors import ServewellError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a workload file, or in an override of it."""

    line: int  # from 1
    column: int  # from 1
    key: str  # dotted path: `serving.workers`
    found: str
    allowed: str
    hint: str = ""  # the nearest right name, or what to write
    override: str = ""  # the override that it is in; line and column then count in its text


class WorkloadFaultsError(ServewellError):
    """A workload file has faults; all of them are in `faults`, and its text lists them."""

    code = "SW-101"

    def __init__(self, what: str, *, why: str, fix: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(what, why=why, fix=fix)
        self.faults = faults


class WorkloadFiles(Protocol):
    """Reads and checks workload files. Contract: tests/ports/test_workload_files.py."""

    def read(self, path: Path, overrides: tuple[str, ...] = ()) -> tuple[Workload, Path]:
        """Return the workload, and the folder that its relative paths start from.

        `path` is the file, or a folder with a `servewell.yaml`. Each override is
        `dotted.key=value`, the value written as in YAML.

        Raises: WorkloadFaultsError, with every fault of the file and of the overrides.
        """
        ...
