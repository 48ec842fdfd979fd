"""Writes what a predictor prints to a log, at a bounded rate and size."""

import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final

from servewell.adapters.embedded.atomic_file import ensure_folder

PIECE_BYTES: Final = 65_536
BYTES_PER_S: Final = 1 << 20  # of a process that prints more, the prints wait
LOG_BYTES_MAX: Final = 10_000_000
LAST_BYTES: Final = 300
ENDS_WITHIN_S: Final = 1.0


class Prints:
    """What comes through the pipe `output`, written to a file until the pipe ends."""

    def __init__(self, output: int, log: Path) -> None:
        self._last = b""
        self._thread = Thread(target=self._follow, args=(output, log), daemon=True, name=log.stem)
        self._thread.start()

    @property
    def last_words(self) -> str:
        """The last line of a process that has ended; or empty."""
        self._thread.join(ENDS_WITHIN_S)
        lines = self._last.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _follow(self, output: int, log: Path) -> None:
        with os.fdopen(output, "rb", buffering=0) as source:
            while piece := source.read(PIECE_BYTES):
                self._last = (self._last + piece)[-LAST_BYTES:]
                with suppress(OSError):  # a full disk is no reason to stop the predictor
                    _append(log, piece)
                time.sleep(len(piece) / BYTES_PER_S)


def _append(log: Path, piece: bytes) -> None:
    if log.exists() and log.stat().st_size + len(piece) > LOG_BYTES_MAX:
        log.rename(log.with_suffix(".log.1"))
    ensure_folder(log.parent)
    with log.open("ab") as file:
        file.write(piece)
