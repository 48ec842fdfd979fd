"""Counting the prediction log, a part at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.profile import ReferenceProfile, WindowProfile
from servewell.core.catalog.signature import Signature
from servewell.ports.profiles import CountedPart, Part

References = Callable[[str], ReferenceProfile | None]  # by package


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledParts:
    """Parts of the log that are in their final place, as its journal tells."""

    parts: tuple[Part, ...]
    cursor: str  # for the next time
    more: bool  # whether there is more already
    is_other_log: bool = False  # it ends before the cursor: the log was restored or moved


class RecordCounting(Protocol):
    """Counts parts of the log. Contract: tests/ports/test_record_counting.py.

    - Every record is in one part, and every part is told at least once to who goes on from the
      cursor of the time before;
    - of a part each prediction counts once, at the time at which its request was read;
    - it counts in the profiles what callers were answered well, and in the traffic everything
      that callers asked. Of a shadow, whose answers nobody got, only the outputs are profiled;
    - memory is bounded by the size of a segment, whatever the traffic is.
    """

    def filed(self, cursor: str, *, most: int, now: float) -> FiledParts:
        """Return the next parts, about so many, of those filed since a cursor; all from an empty.

        Of a log that ends before the cursor all come that have records of the last days, for which
        it is known which parts were counted. `now` is in seconds since the epoch.

        Raises: StorageError.
        """
        ...

    def count(
        self, part: Part, *, references: References, objective_ms: float, now: float
    ) -> CountedPart:
        """Count a part. What cannot be read of it is counted as lost.

        An answer later than `objective_ms` is slow. A record for a time more than ten minutes
        after `now`, in seconds since the epoch, is counted in the minute of `now`.

        Raises: StorageError.
        """
        ...

    def count_package(
        self, part: Part, reference: ReferenceProfile, *, now: float
    ) -> tuple[WindowProfile, ...]:
        """Count the rows of one package alone, as far as the part can be read.

        Raises: StorageError.
        """
        ...

    def first_rows(
        self,
        parts: Sequence[Part],
        package: str,
        signature: Signature,
        *,
        most: int,
        slices: Sequence[str] = (),
    ) -> ReferenceProfile | None:
        """Return a reference profile of the first `most` rows that callers were answered.

        None where fewer of the parts can be read. `slices` are the inputs whose texts have profiles
        of their own.

        Raises: StorageError.
        """
        ...
