"""The figures that the control process tells, on their way to `GET /metrics`."""

from typing import Final, Protocol

from servewell.core.catalog.reading import Reading

FILE: Final = "readings.json"  # beside the counters of the workers, who read it when they are asked


class Readings(Protocol):
    """Holds the newest figures. Contract: tests/ports/test_readings.py.

    - Who reads sees all the figures of one telling, or all of the one before.
    - They outlive the process that told them.
    """

    def tell(self, readings: tuple[Reading, ...]) -> None:
        """Put these figures in place of those told before.

        Raises: StorageError.
        """
        ...

    def told(self) -> tuple[Reading, ...]:
        """Return the newest figures; none where nothing was told, or the file is damaged."""
        ...
