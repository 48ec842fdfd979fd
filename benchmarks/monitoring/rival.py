"""A process of Evidently that is asked for verdicts."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ours import Rows

PROCESS = Path(__file__).with_name("evidently_process.py")


def python() -> str:
    """Return the Python of Evidently's environment, or say how it is made and end."""
    found = os.environ.get("SERVEWELL_BENCH_EVIDENTLY", "")
    if not found:
        sys.exit('Evidently is missing: first run  eval "$(bash benchmarks/monitoring/peers)"')
    return found


class Evidently:
    """Evidently's defaults, asked again and again."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._file = process, folder / "rows.npz"

    def drifted(self, before: Rows, now: Rows) -> list[str]:
        """Return the columns that drifted."""
        held: dict[str, Any] = {f"before:{name}": one for name, one in before.items()}
        held |= {f"now:{name}": one for name, one in now.items()}
        np.savez(self._file, **held)
        assert self._process.stdin is not None  # noqa: S101 - it was opened with pipes
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(f"{self._file}\n")
        self._process.stdin.flush()
        found: list[str] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def evidently() -> Iterator[Evidently]:
    """Give a process of Evidently."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [python(), str(PROCESS), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        yield Evidently(process, Path(folder))
        assert process.stdin is not None  # noqa: S101
        process.stdin.close()
