"""Content-addressed files in a folder: `<first two hex>/<sha256>`, read-only."""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    finish,
    storage_faults,
    sync_folder,
    unfinished_file,
)
from servewell.ports.blobs import BlobCorruptError, BlobMissingError

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
PIECE_BYTES: Final = 1 << 20
READ_ONLY: Final = 0o444
REPAIR: Final = "run `servewell up` again: it makes anew what is missing; or restore a backup"


class FileBlobs:
    """`Blobs` in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """See `Blobs.put`."""
        digest = hashlib.sha256(data).hexdigest()
        return digest if self._is_whole(digest) else self._keep((data,))

    def put_file(self, path: Path) -> str:
        """See `Blobs.put_file`."""
        digest = self.digest(path)
        return digest if self._is_whole(digest) else self._keep(_pieces(path))

    def digest(self, path: Path) -> str:
        """See `Blobs.digest`."""
        with storage_faults(path, doing="read"):
            found = path.exists()
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return _digest_of_file(path)

    def read(self, digest: str) -> bytes:
        """See `Blobs.read`."""
        place = self._existing(digest)
        with storage_faults(place, doing="read"):
            data = place.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise _corrupt(place)
        return data

    def path(self, digest: str) -> Path:
        """See `Blobs.path`."""
        place = self._existing(digest)
        if _digest_of_file(place) != digest:
            raise _corrupt(place)
        return place

    def has(self, digest: str) -> bool:
        """See `Blobs.has`."""
        return DIGEST.fullmatch(digest) is not None and self._place(digest).is_file()

    def remove(self, digest: str) -> None:
        """See `Blobs.remove`."""
        if self.has(digest):
            place = self._place(digest)
            with storage_faults(place, doing="removed"):
                place.unlink(missing_ok=True)
                sync_folder(place.parent)

    def _place(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _existing(self, digest: str) -> Path:
        if not self.has(digest):
            raise BlobMissingError(
                f"There is no blob `{digest[:64]}` in `{self._folder}`.",
                why="it was never kept, or its file was removed",
                fix=REPAIR,
            )
        return self._place(digest)

    def _is_whole(self, digest: str) -> bool:
        return self.has(digest) and _digest_of_file(self._place(digest)) == digest

    def _keep(self, pieces: Iterable[bytes]) -> str:
        with storage_faults(self._folder):
            ensure_folder(self._folder)
            with unfinished_file(self._folder, mode=READ_ONLY) as file:
                digest = _write(file, pieces)
                ensure_folder(self._place(digest).parent)
                finish(file, self._place(digest))
        return digest


def _pieces(path: Path) -> Iterator[bytes]:
    with storage_faults(path, doing="read"), path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _digest_of_file(path: Path) -> str:
    with storage_faults(path, doing="read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(file: IO[bytes], pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    return digest.hexdigest()


def _corrupt(place: Path) -> BlobCorruptError:
    return BlobCorruptError(
        f"The blob `{place}` is corrupt.",
        why="its content does not match its digest: the disk, or somebody, has changed it",
        fix=f"move that file away, then {REPAIR}",
    )
