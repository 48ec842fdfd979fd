"""Numbers that only grow, in a file that every worker can read and that outlives its worker.

A file is slots of 256 bytes: an unsigned 64-bit number (little-endian), the length of a name in
one byte, the name in UTF-8. A worker writes its own file alone, so nothing is locked; eight
aligned bytes are stored at once, so a reader never sees half a number. The kernel keeps the
pages when the worker is killed; after a power loss the counters may start again.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SLOT_BYTES: Final = 256
SLOTS: Final = 16_384  # 4 MiB, sparse until used; one deployment takes about 30
NAME_BYTES_MAX: Final = SLOT_BYTES - 9
WORDS: Final = SLOT_BYTES // 8
OVERFLOW: Final = "servewell_series_dropped_total"


class Counters:
    """The counters of one worker. `values[counters.slot(name)] += 1` counts."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises: OSError.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
            self._map = mmap.mmap(descriptor, SLOTS * SLOT_BYTES)
        finally:
            os.close(descriptor)
        self.values = memoryview(self._map).cast("Q")
        self._slots = {name: slot * WORDS for slot, name, _ in _used(self._map)}
        self._overflow = self.slot(OVERFLOW)

    def slot(self, name: str) -> int:
        """Return the place of a series in `values`; a series too many is counted as dropped."""
        known = self._slots.get(name)
        return self._new(name) if known is None else known

    def _new(self, name: str) -> int:
        encoded, slot = name.encode(), len(self._slots)
        if slot >= SLOTS or len(encoded) > NAME_BYTES_MAX:
            return self._overflow
        start = slot * SLOT_BYTES
        self._map[start + 9 : start + 9 + len(encoded)] = encoded
        self._map[start + 8] = len(encoded)
        self._slots[name] = slot * WORDS
        return slot * WORDS

    def close(self) -> None:
        """Let go of the file."""
        self.values.release()
        self._map.close()


def read_counters(path: Path) -> dict[str, int]:
    """Return the counters of a worker by name; none where there is no such file."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    return {name: value for _, name, value in _used(data)}


def _used(data: bytes | mmap.mmap) -> Iterator[tuple[int, str, int]]:
    for slot in range(len(data) // SLOT_BYTES):
        start = slot * SLOT_BYTES
        length = data[start + 8]
        if length == 0:
            return
        name = data[start + 9 : start + 9 + length].decode(errors="replace")
        yield slot, name, int.from_bytes(data[start : start + 8], "little")
