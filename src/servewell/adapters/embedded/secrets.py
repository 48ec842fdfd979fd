"""Secrets in files that only this user of the machine can read."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    storage_faults,
    sync_folder,
    unfinished_file,
    write_atomically,
)
from servewell.ports.storage import StorageError

SECRET_BYTES: Final = 32
ANYBODY_ELSE: Final = stat.S_IRWXG | stat.S_IRWXO
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class FileSecrets:
    """`Secrets` in a folder of this machine: the folder has mode 0700, each file 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes:
        """See `Secrets.get`."""
        secret = self.find(name)
        while secret is None:
            self._offer(name, os.urandom(SECRET_BYTES))
            secret = self.find(name)
        return secret

    def put(self, name: str, secret: bytes) -> None:
        """See `Secrets.put`."""
        place = self._folder / name
        with storage_faults(place):
            write_atomically(place, secret)

    def find(self, name: str) -> bytes | None:
        """See `Secrets.find`."""
        place = self._folder / name
        with storage_faults(place, doing="read"):
            try:
                _refuse_if_open(self._folder, WRITABLE_BY_OTHERS, "go-w")
                _refuse_if_open(place, ANYBODY_ELSE, "go=")
                secret = place.read_bytes()
            except FileNotFoundError:
                return None
        if not secret:
            raise _empty(place)
        return secret

    def _offer(self, name: str, secret: bytes) -> None:
        """Keep `secret` unless another process was first; its whole file appears at once."""
        place = self._folder / name
        with storage_faults(place):
            ensure_folder(self._folder)
            with unfinished_file(self._folder) as file, suppress(FileExistsError):
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
                os.link(file.name, place)
                sync_folder(self._folder)


def _refuse_if_open(path: Path, forbidden: int, remedy: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & forbidden:
        raise StorageError(
            f"The secret in `{path}` is not safe.",
            why=f"other users of this machine can reach it (its mode is {mode:04o})",
            fix=f"run `chmod {remedy} {path}`; replace the secret if somebody may have read it",
        )


def _empty(place: Path) -> StorageError:
    return StorageError(
        f"The secret `{place}` is empty.",
        why="somebody, or a fault of the disk, has emptied its file",
        fix="restore it from a backup; or remove it, and what it protected must be made anew",
    )
