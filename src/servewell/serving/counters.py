"""Numbers that only grow, in a file that every worker can read and that outlives its worker.

A file is slots of 320 bytes (`SLOT`): an unsigned 64-bit number, when the series was begun in
milliseconds since the epoch, an exemplar, the length of a name in one byte, the name in UTF-8; all
little-endian. A worker writes its own file alone, so nothing is locked; eight aligned bytes are
stored at once, so a reader never sees half a number, and half an exemplar fails its checksum. The
kernel keeps the pages when the worker is killed; after a power loss the counters may start again.
"""

import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

SLOT_BYTES: Final = 320
SLOTS: Final = 13_000  # 4 MiB, sparse until used; one deployment takes about 60
HEAD: Final = Struct("<QQ")  # value, begun
EXEMPLAR: Final = Struct("<16s16sQQ")  # trace id, prediction id, value, milliseconds
CHECKSUM: Final = Struct("<I")
LENGTH_AT: Final = HEAD.size + EXEMPLAR.size + CHECKSUM.size
NAME_BYTES_MAX: Final = SLOT_BYTES - LENGTH_AT - 1
WORDS: Final = SLOT_BYTES // 8
MILLISECONDS: Final = 1_000
OVERFLOW: Final = "servewell_series_dropped_total"


class Exemplar(NamedTuple):
    """One request that a series counted."""

    trace_id: str  # 32 hex digits, as the next
    prediction_id: str
    value: int  # in the unit that the series is counted in
    at: float  # seconds since the epoch


class Series(NamedTuple):
    """One series of one worker."""

    name: str
    value: int
    begun: float  # seconds since the epoch, 0 where it is not known
    exemplar: Exemplar | None


class Counters:
    """The counters of one worker. `values[counters.slot(name)] += 1` counts."""

    def __init__(self, path: Path, *, now: Callable[[], float] = lambda: 0.0) -> None:
        """Open the file, or make it; `now` tells seconds since the epoch.

        Raises: OSError.
        """
        self._now = now
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
            self._map = mmap.mmap(descriptor, SLOTS * SLOT_BYTES)
        finally:
            os.close(descriptor)
        self.values = memoryview(self._map).cast("Q")
        self._slots = {name: start // 8 for start, name in _names(self._map)}
        self._overflow = self.slot(OVERFLOW)

    def slot(self, name: str) -> int:
        """Return the place of a series in `values`; a series too many is counted as dropped."""
        known = self._slots.get(name)
        return self._new(name) if known is None else known

    def slots_of(self, family: str) -> list[int]:
        """Return the places of all series of a family that this file has."""
        return [slot for name, slot in self._slots.items() if name.partition("{")[0] == family]

    def keep(self, slot: int, exemplar: Exemplar) -> None:
        """Keep an exemplar beside the series of a slot, in place of the one before."""
        if slot == self._overflow:
            return
        packed = EXEMPLAR.pack(
            bytes.fromhex(exemplar.trace_id),
            bytes.fromhex(exemplar.prediction_id),
            exemplar.value,
            int(exemplar.at * MILLISECONDS),
        )
        start = slot * 8 + HEAD.size
        self._map[start : start + len(packed) + CHECKSUM.size] = packed + _checksum(packed)

    def _new(self, name: str) -> int:
        encoded, number = name.encode(), len(self._slots)
        if number >= SLOTS or len(encoded) > NAME_BYTES_MAX:
            return self._overflow
        start = number * SLOT_BYTES
        HEAD.pack_into(self._map, start, 0, int(self._now() * MILLISECONDS))
        self._map[start + LENGTH_AT + 1 : start + LENGTH_AT + 1 + len(encoded)] = encoded
        self._map[start + LENGTH_AT] = len(encoded)
        self._slots[name] = number * WORDS
        return number * WORDS

    def close(self) -> None:
        """Let go of the file."""
        self.values.release()
        self._map.close()


class CountersView:
    """The counters of another worker, as they are at the moment; nothing is written."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises: OSError; ValueError where it was made this moment and is still empty.
        """
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.values = memoryview(self._map).cast("Q")
        self._slots: dict[str, int] = {}

    def slot(self, name: str) -> int | None:
        """Return the place of a series in `values`, or None where there is none yet."""
        if name not in self._slots:
            for start, found in _names(self._map, len(self._slots)):
                self._slots[found] = start // 8
        return self._slots.get(name)


def read_counters(path: Path) -> dict[str, int]:
    """Return the counters of a worker by name; none where there is no such file."""
    return {one.name: one.value for one in read_series(path)}


def read_series(path: Path) -> list[Series]:
    """Return the series of a worker, oldest first; none where there is no such file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return [_series(data, start, name) for start, name in _names(data)]
    except (OSError, ValueError):  # a file that was made this moment is empty, and maps to nothing
        return []


def _series(data: mmap.mmap, start: int, name: str) -> Series:
    value, begun = HEAD.unpack_from(data, start)
    return Series(name, value, begun / MILLISECONDS, _exemplar(data, start + HEAD.size))


def _exemplar(data: mmap.mmap, start: int) -> Exemplar | None:
    end = start + EXEMPLAR.size
    packed = data[start:end]
    if data[end : end + CHECKSUM.size] != _checksum(packed):
        return None
    trace_id, prediction_id, value, at = EXEMPLAR.unpack(packed)
    return Exemplar(trace_id.hex(), prediction_id.hex(), value, at / MILLISECONDS)


def _checksum(packed: bytes) -> bytes:
    return CHECKSUM.pack(zlib.crc32(packed))


def _names(data: mmap.mmap, first: int = 0) -> Iterator[tuple[int, str]]:
    """Yield where each slot that is used begins, from the slot `first` on, and its name."""
    for start in range(first * SLOT_BYTES, len(data), SLOT_BYTES):
        length = data[start + LENGTH_AT]
        if length == 0:
            return
        name = data[start + LENGTH_AT + 1 : start + LENGTH_AT + 1 + length]
        yield start, name.decode(errors="replace")
