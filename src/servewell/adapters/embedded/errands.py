"""Errands in a folder that workers write to and the control process watches: a file each."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from servewell.adapters.embedded.atomic_file import storage_faults, write_atomically
from servewell.ports.errands import Errand, Report

ERRAND: Final = ".errand"
REPORT: Final = ".report"
REPORTS_KEPT_S: Final = 60.0  # longer than anybody waits for one

Kind = TypeVar("Kind", Errand, Report)


class FileErrands:
    """`Errands` in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def give(self, errand: Errand) -> None:
        """See `Errands.give`."""
        with storage_faults(self._folder):
            write_atomically(self._place(errand.id, ERRAND), msgspec.json.encode(errand))

    def open(self, now: float) -> tuple[Errand, ...]:
        """See `Errands.open`."""
        self._forget_reports()
        found = sorted(self._folder.glob(f"*{ERRAND}"))
        errands = [(place, _read(place, Errand)) for place in found]
        for place, errand in errands:
            if errand is None or errand.until < now:
                _remove(place)
        return tuple(one for _, one in errands if one is not None and one.until >= now)

    def done(self, report: Report) -> None:
        """See `Errands.done`."""
        with suppress(OSError):  # whoever waits is told by the time that passes
            write_atomically(self._place(report.id, REPORT), msgspec.json.encode(report))
        _remove(self._place(report.id, ERRAND))

    def report(self, errand_id: str) -> Report | None:
        """See `Errands.report`."""
        place = self._place(errand_id, REPORT)
        report = _read(place, Report)
        if report is not None:
            _remove(place)
        return report

    def withdraw(self, errand_id: str) -> None:
        """See `Errands.withdraw`."""
        for kind in (ERRAND, REPORT):
            _remove(self._place(errand_id, kind))

    def _place(self, errand_id: str, kind: str) -> Path:
        return self._folder / f"{errand_id}{kind}"

    def _forget_reports(self) -> None:
        for place in self._folder.glob(f"*{REPORT}"):
            with suppress(OSError):
                if time.time() - place.stat().st_mtime > REPORTS_KEPT_S:
                    place.unlink()


def _read(place: Path, kind: type[Kind]) -> Kind | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _remove(place: Path) -> None:
    with suppress(OSError):
        place.unlink()
