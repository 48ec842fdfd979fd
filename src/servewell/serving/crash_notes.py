"""Notes of what runs, which outlive a worker: what it ran when it died is what is to blame.

A model in ONNX runs inside the worker, so native code that crashes takes the worker with it. Before
each call a thread writes eight bytes into a file that is mapped in memory, and clears them after:
the kernel keeps what was written, however the process ends. The next worker reads it when it
starts. A supervisor, which knows by what a worker ended, takes the notes away where that was not
the model's doing.
"""

import mmap
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, get_ident
from typing import Final

import msgspec
import onnxruntime

from servewell.core.reliability.quarantine import WITHIN_S, decide_quarantine
from servewell.ports.fleet import running_note
from servewell.serving.runtimes.model import Array
from servewell.serving.runtimes.onnx import Session

SLOTS: Final = 64  # threads that run models; what more there are share the last
SLOT_BYTES: Final = 8
MARK_DIGITS: Final = 16  # of a package's digest: as many as a slot holds

Deaths = list[tuple[str, float]]  # the mark of a package, and seconds since the epoch


class CrashNotes:
    """What the threads of this worker run, by the first digits of the package's digest."""

    def __init__(self, folder: Path, worker: int, *, now: float) -> None:
        """Read what the worker before left, then begin anew. Raises: OSError."""
        self._deaths = folder / f"deaths-{worker}.json"
        path = folder / running_note(worker)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, SLOTS * SLOT_BYTES)
            self.values = memoryview(mmap.mmap(handle, SLOTS * SLOT_BYTES)).cast("Q")
        finally:
            os.close(handle)
        self._slots: dict[int, int] = {}
        self._taking = Lock()
        self.blamed = self._read(now)

    def slot(self) -> int:
        """Return the slot of this thread."""
        slot = self._slots.get(get_ident())
        if slot is None:
            with self._taking:
                slot = self._slots[get_ident()] = min(len(self._slots), SLOTS - 1)
        return slot

    def _read(self, now: float) -> dict[str, str]:
        """Return the packages that ended workers too often, by their mark, and why."""
        found = {f"{one:0{MARK_DIGITS}x}" for one in self.values if one}
        for slot in range(SLOTS):
            self.values[slot] = 0
        # What lies ahead is of before the clock was set back: long ago, for all that is known.
        deaths = [one for one in self._known() if abs(now - one[1]) < WITHIN_S]
        deaths += [(mark, now) for mark in sorted(found)]
        with suppress(OSError):
            self._deaths.write_bytes(msgspec.json.encode(deaths))
        blamed = {}
        for mark in {one for one, _ in deaths}:
            times = [at for one, at in deaths if one == mark]
            decision = decide_quarantine(times, now=now, last="its worker died while it ran")
            if decision.refused:
                blamed[mark] = decision.because
        return blamed

    def _known(self) -> Deaths:
        try:
            return msgspec.json.decode(self._deaths.read_bytes(), type=Deaths)
        except (OSError, msgspec.DecodeError):
            return []


class NotedSession:
    """A session that notes each call."""

    def __init__(self, session: Session, notes: CrashNotes, mark: int) -> None:
        self._session = session
        self._notes = notes
        self._mark = mark

    def run(
        self,
        wanted: Sequence[str],
        feed: Mapping[str, Array],
        options: onnxruntime.RunOptions | None = None,
    ) -> list[Array]:
        """See `Session.run`."""
        values, slot = self._notes.values, self._notes.slot()
        values[slot] = self._mark
        try:
            return self._session.run(wanted, feed, options)
        finally:
            values[slot] = 0


def mark_of(package: str) -> int:
    """Return what a slot holds while a package runs."""
    return int(package[:MARK_DIGITS], 16)
