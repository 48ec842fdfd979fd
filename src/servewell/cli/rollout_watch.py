"""A rollout as it goes: a live page in a terminal, a line at each move elsewhere."""

from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from servewell.cli import show
from servewell.cli.rollout_view import line, page
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.rollout import Rollout


class RolloutWatch:
    """Shows a rollout again and again."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._told: tuple[object, ...] = ()
        console = Console()
        live = console.is_terminal and not as_json
        self._live = Live(console=console, auto_refresh=False) if live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, rollout: Rollout, endpoint: Endpoint) -> None:
        """Show how it stands now."""
        if self._live is not None:
            waits = [f"           - {one}" for one in rollout.waits_for]
            lines = [*page(rollout, endpoint, None), *(["waits for", *waits] if waits else [])]
            self._live.update(Text.from_ansi("\n".join(lines)), refresh=True)
        elif (rollout.stage, rollout.step) != self._told:
            self._told = (rollout.stage, rollout.step)
            told = show.line(rollout) if self._as_json else f"{line(rollout)}: {rollout.because}"
            click.echo(told)
