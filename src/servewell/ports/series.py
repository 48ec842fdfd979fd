"""Figures over time."""

from collections.abc import Sequence
from typing import Protocol

from servewell.core.catalog.series import Sample, SeriesPoint


class Series(Protocol):
    """Keeps figures over time, in less space the older they are.

    Every implementation passes tests/ports/test_series.py, and holds:
    - a point of the same series and start takes the place of the one before, in every step that
      it is part of, so that what comes late corrects its own time and what comes twice counts once;
    - what is older than its own step is kept for is settled: it fills a coarser step that is
      empty, and alters none;
    - all points of one call are kept, or none;
    - a series takes at most as many samples as its levels hold, and there are at most so many
      series of columns: the points of one too many are left out and counted. Those that health
      and objectives are told from are kept beside them, however many columns there are.

    All methods raise StateUnavailableError.
    """

    def add(self, points: Sequence[SeriesPoint], *, now: float) -> int:
        """Keep points; return how many were left out because there are too many series."""
        ...

    def read(self, name: str, *, since: float, until: float, step: int) -> tuple[Sample, ...]:
        """Return the samples that begin from `since` to before `until`, oldest first.

        Each is of `step` seconds, or longer where nothing finer is kept any more. There is none
        for a time without a point.
        """
        ...

    def newest(self, prefix: str = "") -> dict[str, int]:
        """Return the series whose names begin so, with the start of the newest point of each."""
        ...

    def sweep(self, now: float) -> int:
        """Remove what is past its retention; return how many samples went."""
        ...
