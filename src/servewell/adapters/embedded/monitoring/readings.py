"""The figures of the control process in a file that every worker reads."""

from pathlib import Path

import msgspec

from servewell.adapters.embedded.atomic_file import storage_faults, write_atomically
from servewell.core.catalog.reading import Reading
from servewell.ports.readings import FILE


class FileReadings:
    """`Readings` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def tell(self, readings: tuple[Reading, ...]) -> None:
        """See `Readings.tell`."""
        with storage_faults(self._path):
            write_atomically(self._path, msgspec.json.encode(readings))

    def told(self) -> tuple[Reading, ...]:
        """See `Readings.told`."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Reading, ...])
        except (OSError, msgspec.DecodeError):
            return ()
