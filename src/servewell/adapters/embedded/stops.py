"""Emergency stops in one sealed file that workers watch."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    finish,
    storage_error,
    storage_faults,
    unfinished_file,
)
from servewell.core.catalog.seal import SealBrokenError, sealed, unsealed
from servewell.core.catalog.stop import EVERY, StopMode, StopNote, StopOrder, Stops
from servewell.ports.signer import Signer
from servewell.ports.stops import StopsCorruptError

MAGIC: Final = b"servewell-stops 1"
ORDERS: Final = "orders"
LOCK: Final = "lock"
TELLING: Final = "telling"
DAMAGED: Final = "the earlier stops were damaged, so nobody knows which endpoints they were of"
NOTES_MAX: Final = 1_000  # that nobody could tell the history; the oldest of more are forgotten


class FileStops:
    """`Stops` in a folder of this machine."""

    def __init__(self, folder: Path, *, signer: Signer) -> None:
        self._folder = folder
        self._place = folder / ORDERS
        self._signer = signer

    def put(self, order: StopOrder) -> None:
        """See `Stops.put`."""
        with self._changing(anew=_everything(order)) as change:
            change(lambda before: _with(before, order))

    def lift(self, endpoint: str, *, because: str, principal: str, at: float) -> bool:
        """See `Stops.lift`."""
        note = StopNote(endpoint=endpoint, order=None, because=because, principal=principal, at=at)
        with self._changing() as change:
            return change(lambda before: _without(before, note))

    def current(self) -> tuple[StopOrder, ...]:
        """See `Stops.current`."""
        return self._read().orders

    def token(self) -> object:
        """See `Stops.token`."""
        try:
            found = self._place.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def untold(self) -> tuple[StopNote, ...]:
        """See `Stops.untold`."""
        return self._read().notes

    @contextmanager
    def telling(self) -> Iterator[bool]:
        """See `Stops.telling`."""
        with storage_faults(self._folder):
            ensure_folder(self._folder)
            handle = os.open(self._folder / TELLING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked_at_once(handle)
        finally:
            os.close(handle)

    def told(self, note: StopNote) -> None:
        """See `Stops.told`."""
        with self._changing() as change:
            change(
                lambda before: replace(
                    before, notes=tuple(one for one in before.notes if one != note)
                )
            )

    def _read(self) -> Stops:
        try:
            body = unsealed(MAGIC, self._place.read_bytes(), self._signer.verify)
            return msgspec.json.decode(body, type=Stops)
        except FileNotFoundError:
            return Stops()
        except OSError as error:
            raise storage_error(self._place, error, doing="read") from error
        except SealBrokenError as error:
            raise self._corrupt(str(error)) from error
        except msgspec.DecodeError as error:
            why = f"its content is not what this release writes ({error})"
            raise self._corrupt(why) from error

    @contextmanager
    def _changing(
        self, *, anew: StopOrder | None = None
    ) -> Iterator[Callable[[Callable[[Stops], Stops]], bool]]:
        """Let one writer at a time change what is kept; where it is damaged, begin with `anew`."""

        def change(to: Callable[[Stops], Stops]) -> bool:
            before = self._read() if anew is None else self._read_or(anew)
            after = to(before)
            if after != before:
                self._write(after)
            return after != before

        with storage_faults(self._folder):
            ensure_folder(self._folder)
            with (self._folder / LOCK).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield change

    def _read_or(self, anew: StopOrder) -> Stops:
        try:
            return self._read()
        except StopsCorruptError:
            return _with(Stops(), anew)

    def _write(self, stops: Stops) -> None:
        kept = replace(stops, notes=stops.notes[-NOTES_MAX:])
        with unfinished_file(self._folder) as file:
            file.write(sealed(MAGIC, msgspec.json.encode(kept), self._signer.sign))
            file.flush()
            # The kernel's own stamp is a few milliseconds coarse, too coarse for `token`.
            os.utime(file.fileno(), ns=(time.time_ns(), time.time_ns()))
            finish(file, self._place)

    def _corrupt(self, why: str) -> StopsCorruptError:
        return StopsCorruptError(
            "The emergency stops cannot be trusted.",
            why=why,
            fix="order the stops that are to hold again with `servewell stop`; the first writes "
            "the file anew, and stops every other endpoint until `servewell resume '*'`; "
            f"where none is to hold, remove `{self._place}`",
        )


def _locked_at_once(handle: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _everything(order: StopOrder) -> StopOrder:
    """Return the order that keeps whatever was stopped before a damage from answering."""
    return StopOrder(
        endpoint=EVERY,
        mode=StopMode.REFUSE,
        because=DAMAGED,
        principal=order.principal,
        at=order.at,
    )


def _with(before: Stops, order: StopOrder) -> Stops:
    others = [one for one in before.orders if one.endpoint != order.endpoint]
    note = StopNote(
        endpoint=order.endpoint,
        order=order,
        because=order.because,
        principal=order.principal,
        at=order.at,
    )
    return Stops(
        orders=tuple(sorted((*others, order), key=lambda one: one.endpoint)),
        notes=(*before.notes, note),
    )


def _without(before: Stops, note: StopNote) -> Stops:
    orders = tuple(one for one in before.orders if one.endpoint != note.endpoint)
    if orders == before.orders:
        return before
    return Stops(orders=orders, notes=(*before.notes, note))
