"""How far a file of rows has come: a bar on stderr, in a terminal only."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """Return the present rate, as wide as it ever gets."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:>9,.0f} rows/s", "cyan")


class RowProgress:
    """Counts rows; with `total` rows known it tells how long the rest will take."""

    def __init__(self, *, total: int | None, shown: bool) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.completed:>10,.0f} rows"),
            BarColumn(),
            *((TextColumn("of {task.total:,.0f}"), TimeRemainingColumn()) if total else ()),
            Rate(),
            TimeElapsedColumn(),
            console=console,
            disable=not (shown and console.is_terminal),
            transient=True,
        )
        self._task = self._progress.add_task("rows", total=total)
        self._started = time.monotonic()
        self.rows = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def advance(self, rows: int) -> None:
        """Count so many rows more."""
        self.rows += rows
        self._progress.advance(self._task, rows)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started
