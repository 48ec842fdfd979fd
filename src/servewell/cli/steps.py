"""Progress of a piece of work that has several steps: one line each, with what it took."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

NAME_WIDTH: Final = 9


class Steps:
    """Shows the present step with a spinner in a terminal, and each finished step as a line.

    Nothing goes to stdout, so what a command prints there stays clean.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._status: Status | None = None
        self._step = ""
        self._words = ""
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
        if self._step:
            self._finish(failed=error is not None)

    def report(self, step: str, words: str) -> None:
        """Say what a step is doing now; another step's name finishes the one before."""
        if step != self._step:
            if self._step:
                self._finish(failed=False)
            self._step, self._started = step, time.monotonic()
        self._words = words
        if self._status is not None:
            self._status.update(Text(f"{step:<{NAME_WIDTH}} {words}"))

    def _finish(self, *, failed: bool) -> None:
        mark = Text("failed ", "red") if failed else Text("done   ", "green")
        took = time.monotonic() - self._started
        line = Text.assemble(
            mark, f"{self._step:<{NAME_WIDTH}} {self._words} ", (f"({took:.1f} s)", "dim")
        )
        self._console.print(line, soft_wrap=True)
