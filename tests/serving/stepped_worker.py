"""A worker whose clock may be set: `stepped_worker.py HOME INDEX LISTENER CLOCK`.

The file CLOCK holds by how many seconds the clock is ahead, as eight bytes of a float.
"""

import mmap
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from servewell.adapters.embedded.clock import SystemClock
from servewell.serving.worker import serve
from serving.home import Home
from serving.worker_process import parts

SECONDS = struct.Struct("<d")


class SteppedClock(SystemClock):
    """The clock of this machine, and so many seconds ahead as a file says. Others may set it."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(handle, SECONDS.size)
        self._ahead = mmap.mmap(handle, SECONDS.size)
        os.close(handle)

    def now(self) -> float:
        """See `Clock.now`."""
        [ahead] = SECONDS.unpack(self._ahead)
        return super().now() + float(ahead)

    def step(self, seconds: float) -> None:
        """Set it forwards or back."""
        [ahead] = SECONDS.unpack(self._ahead)
        self._ahead[:] = SECONDS.pack(ahead + seconds)


@contextmanager
def stepped_worker(home: Home, clock: Path) -> Iterator[None]:
    """Run a worker with such a clock until the block ends, ready when it begins."""
    words = [str(home.folder), "0", str(home.listener.fileno()), str(clock)]
    handles = [home.listener.fileno()]
    process = subprocess.Popen([sys.executable, __file__, *words], pass_fds=handles)
    try:
        home.wait_for_snapshot()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


if __name__ == "__main__":
    folder, index, listener, clock_file = sys.argv[1:]
    made = parts(Path(folder), int(index), int(listener))
    sys.exit(serve(replace(made, clock=SteppedClock(Path(clock_file)))))
