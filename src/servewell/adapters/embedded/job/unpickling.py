"""Loads pickles and joblib files under the guard of the list of known names."""

import bz2
import importlib
import io
import lzma
import pickle
import zlib
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import numpy as np

from servewell.core.security.pickle_scan import (
    ARRAY_RECORD,
    KNOWN,
    canonical,
    is_known,
    judge_pickle,
)
from servewell.ports.trainer import PickleRefusedError

BYTES_MAX: Final = 4 << 30  # of a file once unpacked


def load_pickle(path: Path, *, allowed: bool) -> object:
    """Return the object in a pickle, or in a file of joblib, compressed or not.

    Raises: PickleRefusedError where it is not allowed, or names anything that is not known;
    OSError.
    """
    if not allowed:
        raise PickleRefusedError(
            f"`{path.name}` is a pickle, and this workload does not allow it.",
            why="a pickle can run any program when it is loaded",
            fix="export the model to ONNX; or set `artifact.allow_pickle: true` in the workload "
            "file, if you trust where the file comes from",
        )
    data = _unpacked(path)
    verdict = judge_pickle(data)
    if not verdict.harmless:
        raise _refused(path, verdict.because)
    try:
        return _GuardedUnpickler(io.BytesIO(data), path).load()
    except PickleRefusedError:
        raise
    except Exception as error:
        raise _refused(
            path, f"it cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
        ) from error


# The reader in Python, not the one in C: only its steps can be overridden.
class _GuardedUnpickler(pickle._Unpickler):  # noqa: SLF001
    """Builds only what is known, and reads the arrays that joblib writes between the operators."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # noqa: SLF001

    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file)
        self._file = file
        self._path = path
        self._found: dict[int, object] = {}  # all that was looked up, by identity

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  # as in `pickle`
        """Return what a name stands for.

        A class must be known where it is at home too: not every module may lend what it imports.
        """
        module, name = canonical(module, name)
        if not is_known(module, name):
            raise _refused(self._path, f"it names `{module}.{name}`, which no model needs")
        if (module, name) == ARRAY_RECORD:
            found: Any = ArrayRecord
        else:
            found = getattr(importlib.import_module(module), name)
        if (module, name) not in KNOWN:
            home = str(getattr(found, "__module__", ""))
            if not isinstance(found, type) or not is_known(home, found.__qualname__):
                raise _refused(self._path, f"`{module}.{name}` is no class that a model needs")
        self._found[id(found)] = found
        return found

    def load_reduce(self) -> None:
        """Call what was looked up by name, and never an object that the pickle has built."""
        if id(self.stack[-2]) not in self._found:
            raise _refused(self._path, "it calls something that has no name")
        super().load_reduce()  # type: ignore[misc]  # typeshed leaves it out

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_build(self) -> None:
        """Give a new object its state; of a class it would change the class for everybody."""
        if isinstance(self.stack[-2], type):
            raise _refused(self._path, "it changes a class")
        super().load_build()  # type: ignore[misc]  # typeshed leaves it out
        if isinstance(self.stack[-1], ArrayRecord):
            self.stack[-1] = self._array(self.stack[-1])

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, record: "ArrayRecord") -> object:
        dtype = np.dtype(record.dtype)
        if dtype.hasobject:  # joblib writes it as a pickle within the file
            return _GuardedUnpickler(self._file, self._path).load()
        if record.numpy_array_alignment_bytes is not None:
            self._exactly(int.from_bytes(self._exactly(1), "little"))
        count = int(np.prod(record.shape, dtype="int64"))
        flat = np.frombuffer(self._exactly(count * dtype.itemsize), dtype=dtype).copy()
        return flat.reshape(record.shape, order="F" if record.order == "F" else "C")

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size) if size >= 0 else b""
        if len(data) != size:
            raise _refused(self._path, "it ends within an array")
        return data


class ArrayRecord:
    """What joblib writes in place of an array, whose bytes follow in the file.

    Source: joblib 1.6, `numpy_pickle.py`, `NumpyArrayWrapper.write_array`.
    """

    dtype: Any
    shape: tuple[int, ...]
    order: str
    numpy_array_alignment_bytes: int | None = None  # files before joblib 1.2 have none


def _unpacked(path: Path) -> bytes:
    """Return the content of a file, decompressed as joblib would, within bounds."""
    data = path.read_bytes()
    try:
        return _bounded(_decompressed(data), path)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise _refused(path, f"it cannot be decompressed: {error}") from error


def _decompressed(data: bytes) -> bytes:
    """Return what compressed data holds, no more than a little over `BYTES_MAX`."""
    size = BYTES_MAX + 1
    if data.startswith(b"\x78"):
        return zlib.decompressobj().decompress(data, size)
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(data, size)
    if data.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(data, size)
    if data.startswith((b"\xfd7zXZ\x00", b"]\x00")):
        return lzma.LZMADecompressor().decompress(data, size)
    return data


def _bounded(unpacked: bytes, path: Path) -> bytes:
    if len(unpacked) > BYTES_MAX:
        raise _refused(path, f"it is larger than {BYTES_MAX >> 30} GiB once decompressed")
    return unpacked


def _refused(path: Path, why: str) -> PickleRefusedError:
    return PickleRefusedError(
        f"The pickle `{path.name}` was not loaded.",
        why=why,
        fix="load it where it was made, and export the model to ONNX or to its library's own "
        "format",
    )
