"""What a load test shows in a terminal while it runs."""

from collections import deque
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from servewell.core.performance.load_plan import Stage
from servewell.core.performance.load_result import GOOD, Window, percentile_ms

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
SECONDS_SHOWN: Final = 60


class LoadView:
    """A live view: the plan's progress, the last second, and the last minute as bars."""

    def __init__(self, stages: tuple[Stage, ...], *, objective_ms: float) -> None:
        self._stages = stages
        self._objective_ms = objective_ms
        self._windows: deque[Window] = deque(maxlen=SECONDS_SHOWN)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns)
        total = sum(stage.duration_s for stage in stages)
        self._task = self._progress.add_task("", total=total)
        self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def add(self, window: Window) -> None:
        """Show one more second."""
        self._windows.append(window)
        stage = self._stages[window.stage]
        name = f"stage {window.stage + 1} of {len(self._stages)}, {stage.words}"
        self._progress.update(self._task, completed=window.at + window.seconds, description=name)
        self._live.update(Group(self._progress, self._table(window)))

    def _table(self, window: Window) -> Table:
        table = Table.grid(padding=(0, 2))
        rates = [one.answered / one.seconds for one in self._windows]
        tails = [percentile_ms(one.buckets, 99) or 0.0 for one in self._windows]
        table.add_row("answered/s", f"{rates[-1]:,.0f}", Text(bars(rates), style="green"))
        over = tails[-1] > self._objective_ms
        style = "red" if over else "cyan"
        table.add_row("p99 ms", Text(f"{tails[-1]:,.1f}", style=style), Text(bars(tails), style))
        failed = {name: count for name, count in window.statuses.items() if name != GOOD}
        told = ", ".join(f"{count:,} x {name}" for name, count in failed.items()) or "none"
        table.add_row("other answers", Text(told, style="red" if failed else "dim"))
        in_flight = window.in_flight_s / window.seconds
        table.add_row("in flight", f"{in_flight:,.1f}")
        return table


def bars(values: list[float]) -> str:
    """Return values as a row of bars, the highest of them full."""
    highest = max(values, default=0.0) or 1.0
    steps = len(BLOCKS) - 1
    return "".join(BLOCKS[min(steps, int(value / highest * steps + 0.5))] for value in values)
