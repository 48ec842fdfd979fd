"""Model versions."""

from typing import Protocol

from servewell.core.catalog.model import ModelVersion
from servewell.errors import ServewellError


class ModelMissingError(ServewellError):
    """No model, or no version of it, has that name."""

    code = "SW-202"


class Registry(Protocol):
    """Remembers model versions.

    Every implementation passes tests/ports/test_registry.py, and holds:
    - a version never changes once added; adding the same package twice returns the first version;
    - numbers of one model are 1, 2, 3 … without a gap, whoever adds them at the same time.

    All methods raise StateUnavailableError.
    """

    def add(self, version: ModelVersion) -> ModelVersion:
        """Keep a version; its `number` is given by the store and the kept version returned."""
        ...

    def get(self, model: str, number: int | None = None) -> ModelVersion:
        """Return a version; without a number, the newest.

        Raises: ModelMissingError.
        """
        ...

    def list(self, model: str | None = None) -> tuple[ModelVersion, ...]:
        """Return the versions, oldest first; of one model, or of all."""
        ...
