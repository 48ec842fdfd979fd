"""Ends calls of a model on the loop that take far longer than was expected.

How long a call takes may depend on its values, which nobody knows before. A call on the loop that
goes on keeps every caller waiting, and nothing on the loop can end it; so a thread looks.
"""

from threading import Event, Thread
from typing import Final

from servewell.serving.runtimes.model import Call

LOOK_S: Final = 0.1  # a call that is seen twice has run longer than this, and is ended


class LoopGuard:
    """Watches the one call that may run on the loop. `begin` and `end` are called by the loop."""

    def __init__(self) -> None:
        self._call: Call | None = None
        self._closed = Event()
        self._thread: Thread | None = None

    def begin(self, call: Call) -> None:
        """Watch a call; none is given twice."""
        self._call = call
        if self._thread is None:
            self._thread = Thread(target=self._look, name="loop-guard", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Watch nothing."""
        self._call = None

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _look(self) -> None:
        before: Call | None = None
        while not self._closed.wait(LOOK_S):
            call = self._call
            if call is not None and call is before:
                call.stop()
            before = call
