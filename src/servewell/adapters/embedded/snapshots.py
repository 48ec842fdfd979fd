"""Snapshots in a folder that workers watch, and the workers' reports in another."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    finish,
    storage_error,
    storage_faults,
    unfinished_file,
    write_atomically,
)
from servewell.core.catalog.snapshot import Snapshot, SnapshotCorruptError, seal, unseal
from servewell.ports.signer import Signer
from servewell.ports.snapshots import WorkerReport

CURRENT: Final = "current"
PREVIOUS: Final = "previous"
LOCK: Final = "lock"


class FileSnapshots:
    """`Snapshots` in two folders of this machine: `folder` for them, `reports` for the workers'."""

    def __init__(self, folder: Path, *, reports: Path, signer: Signer) -> None:
        self._folder = folder
        self._reports = reports
        self._signer = signer

    def publish(self, snapshot: Snapshot) -> None:
        """See `Snapshots.publish`."""
        data = seal(snapshot, self._signer.sign)
        with storage_faults(self._folder), self._locked():
            newest = self._whole(CURRENT) or self._whole(PREVIOUS)
            if newest is None or newest.version <= snapshot.version:
                self._replace(data, snapshot.version)

    def current(self) -> Snapshot | None:
        """See `Snapshots.current`."""
        place = self._folder / CURRENT
        try:
            return unseal(place.read_bytes(), self._signer.verify)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(place, error) from error

    def previous(self) -> Snapshot | None:
        """See `Snapshots.previous`."""
        return self._whole(PREVIOUS)

    def token(self) -> object:
        """See `Snapshots.token`."""
        try:
            found = (self._folder / CURRENT).stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def report(self, report: WorkerReport) -> None:
        """See `Snapshots.report`."""
        place = self._reports / f"worker-{report.worker}.json"
        with suppress(OSError):
            write_atomically(place, msgspec.json.encode(report))

    def reports(self) -> tuple[WorkerReport, ...]:
        """See `Snapshots.reports`."""
        found = (_read_report(place) for place in self._reports.glob("worker-*.json"))
        return tuple(sorted((one for one in found if one), key=lambda one: one.worker))

    def _whole(self, name: str) -> Snapshot | None:
        try:
            return unseal((self._folder / name).read_bytes(), self._signer.verify)
        except (OSError, SnapshotCorruptError):
            return None

    def _replace(self, data: bytes, version: int) -> None:
        """Put `data` in the place of the current snapshot, which becomes the previous one.

        A current snapshot that is not whole, or that has the same version, is not worth keeping.
        """
        former = self._whole(CURRENT)
        with unfinished_file(self._folder) as file:
            file.write(data)
            file.flush()
            # The kernel's own stamp is a few milliseconds coarse, too coarse for `token`.
            os.utime(file.fileno(), ns=(time.time_ns(), time.time_ns()))
            if former is not None and former.version < version:
                write_atomically(self._folder / PREVIOUS, (self._folder / CURRENT).read_bytes())
            finish(file, self._folder / CURRENT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        ensure_folder(self._folder)
        with (self._folder / LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _read_report(place: Path) -> WorkerReport | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=WorkerReport)
    except (OSError, msgspec.DecodeError):
        return None


def _unreadable(place: Path, error: OSError) -> SnapshotCorruptError:
    fault = storage_error(place, error, doing="read")
    return SnapshotCorruptError(fault.what, why=fault.why, fix=fault.fix)
