"""Dataset versions."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.dataset import DatasetPolicy, DatasetVersion
from servewell.errors import ServewellError


class DatasetMissingError(ServewellError):
    """There is no dataset of that name, or no version of that number."""

    code = "SW-222"


class Datasets(Protocol):
    """Remembers dataset versions.

    Every implementation passes tests/ports/test_datasets.py, and holds:
    - adding the same name and digest twice is the same as once, and returns the first version; one
      whose rows were removed comes back under its number, with the time and statistics now given;
    - numbers of one name are 1, 2, 3 … without a gap, whoever adds them at the same time, and no
      number is ever given to other rows;
    - a change is kept together with the line of history that tells of it.

    All methods raise StateUnavailableError.
    """

    def add(self, version: DatasetVersion) -> DatasetVersion:
        """Keep a version; its `number` is given by the store and the kept version returned."""
        ...

    def list(self, name: str | None = None) -> tuple[DatasetVersion, ...]:
        """Return the versions, oldest first; of one dataset, or of all."""
        ...

    def get(self, name: str, number: int | None = None) -> DatasetVersion:
        """Return a version, or the newest whose rows are kept.

        Raises: DatasetMissingError.
        """
        ...

    def remove(self, version: DatasetVersion, change: Change) -> None:
        """Keep `version`, which says when and why its rows went, in place of what was kept of it.

        Raises: DatasetMissingError.
        """
        ...

    def policies(self) -> dict[str, DatasetPolicy]:
        """Return the policies, by name of the dataset; not every dataset has one."""
        ...

    def set_policy(self, policy: DatasetPolicy, change: Change) -> None:
        """Keep a policy in place of the one that the dataset had."""
        ...
