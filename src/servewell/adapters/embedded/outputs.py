"""Folders of files as blobs: each file one, and the list of them another."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.atomic_file import ensure_folder, storage_faults, sync_folder
from servewell.core.catalog.step import Output
from servewell.ports.blobs import BlobCorruptError, BlobMissingError, Blobs
from servewell.ports.outputs import OutputInvalidError

WRITABLE: Final = 0o600


class _List(msgspec.Struct, frozen=True, kw_only=True):
    """What an output holds. Its JSON, with sorted keys, is what the digest is of."""

    files: dict[str, str]  # path: digest
    folders: list[str]  # those without a file


class BlobOutputs:
    """`Outputs` in the blob store."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def keep(self, folder: Path) -> Output:
        """See `Outputs.keep`."""
        with storage_faults(folder, doing="read"):
            found = sorted(_walked(folder))
            empty = [path for path in found if path.is_dir() and not any(path.iterdir())]
        files = {_name(path, folder): path for path in found if path.is_file()}
        return self._keep(files, folders=[_name(path, folder) for path in empty])

    def keep_files(self, files: Mapping[str, Path]) -> Output:
        """See `Outputs.keep_files`."""
        return self._keep(files, folders=[])

    def files(self, digest: str) -> dict[str, str]:
        """See `Outputs.files`."""
        return self._list(digest).files

    def whole(self, digest: str) -> bool:
        """See `Outputs.whole`."""
        try:
            for one in self._list(digest).files.values():
                self._blobs.path(one)
        except (BlobMissingError, BlobCorruptError):
            return False
        return True

    def bring(self, digest: str, place: Path) -> Path:
        """See `Outputs.bring`."""
        if place.is_dir():
            return place
        kept = self._list(digest)
        with storage_faults(place):
            ensure_folder(place.parent)
            beside = Path(tempfile.mkdtemp(dir=place.parent))
            try:
                for name, one in kept.files.items():
                    _copy(self._blobs.path(one), beside / name)
                for name in kept.folders:
                    (beside / name).mkdir(parents=True, exist_ok=True)
                beside.rename(place)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            sync_folder(place.parent)
        return place

    def _keep(self, files: Mapping[str, Path], *, folders: list[str]) -> Output:
        kept = _List(
            files={name: self._blobs.put_file(path) for name, path in files.items()},
            folders=folders,
        )
        return Output(
            digest=self._blobs.put(msgspec.json.encode(kept, order="sorted")),
            files=len(files),
            size_bytes=sum(path.stat().st_size for path in files.values()),
        )

    def _list(self, digest: str) -> _List:
        return msgspec.json.decode(self._blobs.read(digest), type=_List)


def _walked(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder and below it. Raises: OutputInvalidError."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        path = Path(entry.path)
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            yield path
            yield from _walked(path)
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise _invalid(path, "it is a link, a device or a socket; only files and folders are")


def _name(path: Path, folder: Path) -> str:
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise _invalid(path, "its name is no text in UTF-8") from error
    return name


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(WRITABLE)


def _invalid(path: Path, why: str) -> OutputInvalidError:
    return OutputInvalidError(
        f"{path.name!a} in the output of a step cannot be kept.",
        why=why,
        fix="let the step write files and folders with names in UTF-8",
    )
