"""Dataset versions."""

from typing import Protocol

from servewell.core.catalog.dataset import DatasetVersion


class Datasets(Protocol):
    """Remembers dataset versions.

    Every implementation passes tests/ports/test_datasets.py, and holds:
    - adding the same name and digest twice is the same as once, and returns the first version;
    - numbers of one name are 1, 2, 3 … without a gap, whoever adds them at the same time.

    All methods raise StateUnavailableError.
    """

    def add(self, version: DatasetVersion) -> DatasetVersion:
        """Keep a version; its `number` is given by the store and the kept version returned."""
        ...

    def list(self, name: str | None = None) -> tuple[DatasetVersion, ...]:
        """Return the versions, oldest first; of one dataset, or of all."""
        ...
