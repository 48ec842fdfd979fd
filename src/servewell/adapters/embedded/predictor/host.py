"""The process of one predictor: `host.py LINE PARENT SCRIPT CLASS MEMORY_BYTES_MAX`.

It is run by the Python of the predictor's own environment, so it imports nothing but the standard
library and NumPy. What comes and goes on the socket `LINE` is a frame: four bytes with the length
of the header, the header as JSON, then the bytes of its columns one after the other, little-endian.
A text column is the lengths of its texts as 64-bit integers, then the texts in UTF-8.
"""

import fcntl
import importlib.util
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

HEADER_BYTES_MAX: Final = 1 << 20
BODY_BYTES_MAX: Final = 1 << 30
DIMENSIONS_MAX: Final = 16
TEXT: Final = "text"
TYPES: Final = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip


class RubbishError(Exception):
    """What came is no frame, or what the predictor answered is no set of columns."""


class Frames:
    """Frames from a socket. What has come of one is kept when the time for its rest runs out."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._size: int | None = None
        self._header: dict[str, Any] | None = None
        self._part: bytearray | None = None
        self._got = 0
        self._left_s: Callable[[], float] | None = None

    def take(
        self, left_s: Callable[[], float] | None = None
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the next header and its columns, within the seconds that are left.

        Raises: TimeoutError; EOFError where the other end has gone; RubbishError, OSError.
        """
        self._left_s = left_s
        if self._size is None:
            self._size = int.from_bytes(self._filled(4), "little")
        if self._size > HEADER_BYTES_MAX:
            raise RubbishError("HeaderTooLarge")
        if self._header is None:
            self._header = _header(self._filled(self._size))
        header, specs = self._header, _specs(self._header)
        body = self._filled(sum(_length(spec) for spec in specs))
        self._size = self._header = None
        return header, _columns(specs, memoryview(body))

    def _filled(self, size: int) -> bytearray:
        if size > BODY_BYTES_MAX:
            raise RubbishError("BodyTooLarge")
        if self._part is None:
            self._part, self._got = bytearray(size), 0
        view = memoryview(self._part)
        while self._got < size:
            if self._left_s:
                self._line.settimeout(self._left_s())
            got = self._line.recv_into(view[self._got :])
            if got == 0:
                raise EOFError
            self._got += got
        part, self._part = self._part, None
        return part


def require_number(header: Mapping[str, Any], number: int) -> None:
    """Refuse an answer to anything but the call that waits.

    Raises: RubbishError.
    """
    if header.get("number") != number:
        raise RubbishError("NumberDiffers")


def framed(header: Mapping[str, Any], columns: Mapping[str, Array]) -> bytes:
    """Return a header and columns as one frame.

    Raises: RubbishError where a column holds what cannot travel.
    """
    specs, parts = [], []
    for name, column in columns.items():
        spec, data = _described(name, column)
        specs.append(spec)
        parts += data
    whole = json.dumps({**header, "columns": specs}).encode()
    return b"".join([len(whole).to_bytes(4, "little"), whole, *parts])


def _described(name: str, column: Array) -> tuple[dict[str, Any], list[bytes]]:
    spec = {"name": name, "shape": list(column.shape)}
    if column.dtype.kind in "OU":
        try:
            texts = [text.encode() for text in column.reshape(-1).tolist()]
        except (AttributeError, UnicodeEncodeError) as error:
            raise RubbishError("NoText") from error
        lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
        data = [lengths.tobytes(), *texts]
        return {**spec, "type": TEXT, "bytes": sum(map(len, data))}, data
    if column.dtype.name not in TYPES:
        raise RubbishError("TypeUnknown")
    plain = column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes()
    return {**spec, "type": column.dtype.name, "bytes": len(plain)}, [plain]


def _header(data: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RubbishError("HeaderMalformed") from error
    if not isinstance(header, dict):
        raise RubbishError("HeaderMalformed")
    return header


def _specs(header: dict[str, Any]) -> list[dict[str, Any]]:
    specs = header.get("columns", [])
    if not isinstance(specs, list) or not all(isinstance(one, dict) for one in specs):
        raise RubbishError("HeaderMalformed")
    return specs


def _length(spec: dict[str, Any]) -> int:
    length: Any = spec.get("bytes")
    if not _is_count(length):
        raise RubbishError("LengthMalformed")
    return int(length)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= BODY_BYTES_MAX


def _columns(specs: list[dict[str, Any]], body: memoryview) -> dict[str, Array]:
    columns, start = {}, 0
    for spec in specs:
        end = start + _length(spec)
        columns[str(spec.get("name"))] = _column(spec, body[start:end])
        start = end
    return columns


def _column(spec: dict[str, Any], data: memoryview) -> Array:
    shape = spec.get("shape")
    if not isinstance(shape, list) or len(shape) > DIMENSIONS_MAX or not all(map(_is_count, shape)):
        raise RubbishError("ShapeMalformed")
    try:
        if spec.get("type") == TEXT:
            return _texts(data, shape)
        if spec.get("type") not in TYPES:
            raise RubbishError("TypeUnknown")
        if spec["type"] == "bool":  # a byte that is neither 0 nor 1 is no boolean to NumPy
            plain: Array = np.frombuffer(data, dtype=np.uint8) != 0
        else:
            plain = np.frombuffer(data, dtype=np.dtype(spec["type"]).newbyteorder("<"))
        return plain.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise RubbishError("ColumnMalformed") from error


def _texts(data: memoryview, shape: list[int]) -> Array:
    count = 1
    for size in shape:
        count *= size
    lengths = np.frombuffer(data[: count * 8], dtype="<i8").tolist()
    texts, start = [], count * 8
    for length in lengths:
        if not 0 <= length <= len(data) - start:
            raise RubbishError("TextMalformed")
        texts.append(str(data[start : start + length], "utf-8"))
        start += length
    if len(texts) != count or start != len(data):
        raise RubbishError("TextMalformed")
    column = np.empty(count, dtype=object)
    column[:] = texts
    return column.reshape(shape)


def _row_values(column: Array) -> Array:
    """Return a column with one value a row as that: (n,), not (n, 1)."""
    values: Array = column[:, 0] if column.shape[1:] == (1,) else column
    return values


def _answer(predictor: Any, columns: dict[str, Array]) -> dict[str, Array]:  # noqa: ANN401  # the user's
    answered = predictor.predict({name: _row_values(one) for name, one in columns.items()})
    if not isinstance(answered, dict) or not all(isinstance(name, str) for name in answered):
        raise RubbishError("NoDictionary")
    if not all(isinstance(one, np.ndarray) for one in answered.values()):
        raise RubbishError("NoArray")
    return answered


def _replied(predictor: Any, columns: dict[str, Array], number: int) -> bytes:  # noqa: ANN401  # the user's
    try:
        return framed({"number": number}, _answer(predictor, columns))
    except RubbishError as error:
        sys.stderr.write(f"The answer of predict cannot be used: {error}.\n")
        return framed({"number": number, "error": str(error)}, {})
    except BaseException as error:  # noqa: BLE001  # whatever it is, the worker is told
        traceback.print_exc()
        return framed({"number": number, "error": type(error).__name__}, {})


def _load(script: Path, class_name: str) -> Any:  # noqa: ANN401  # the user's
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    predictor = getattr(module, class_name)()
    predictor.load(Path.cwd())
    return predictor


def _end_with(parent: int) -> None:
    """Have the kernel kill the whole group as soon as the other end of this pipe is closed.

    It does so whatever the predictor is doing: an endless loop in native code stops nothing here.
    """
    fcntl.fcntl(parent, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(parent, fcntl.F_SETOWN, -os.getpgrp())
    flags = fcntl.fcntl(parent, fcntl.F_GETFL)
    fcntl.fcntl(parent, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)


def main(line_number: int, parent: int, script: Path, class_name: str, memory: int) -> None:
    """Load the predictor, say so, and answer until the other end has gone."""
    _end_with(parent)
    # What is written counts, not what is reserved: numerical libraries reserve far more.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    line = socket.socket(fileno=line_number)
    line.set_inheritable(False)
    try:
        predictor = _load(script, class_name)
    except BaseException as error:  # noqa: BLE001  # as above
        traceback.print_exc()
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        line.sendall(framed({"number": 0, "error": said}, {}))
        return
    line.sendall(framed({"number": 0}, {}))
    frames = Frames(line)
    while True:
        try:
            header, columns = frames.take()
        except EOFError:
            return
        line.sendall(_replied(predictor, columns, int(header["number"])))


if __name__ == "__main__":
    line_, parent_, script_, class_, memory_ = sys.argv[1:]
    try:
        main(int(line_), int(parent_), Path(script_), class_, int(memory_))
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)  # whatever it started goes with it
