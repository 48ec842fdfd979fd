"""The end of a segment: what was appended to it since somebody looked.

Frames are decoded many at once straight into small structures; a second of ten thousand records
costs a few hundredths of a core.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, Final

import msgspec
import numpy as np

from servewell.adapters.embedded.record_tables import ELEMENTS
from servewell.adapters.embedded.segments import Segment, payloads_in, whole_spans
from servewell.core.catalog.outcome import Named, Outcome
from servewell.core.catalog.prediction_record import (
    FRAME,
    FRAME_BYTES_MAX,
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    salt_of,
)

HALTED: Final = -1  # an offset: the segment goes on when it was compacted
CHUNK_BYTES: Final = 4 << 20  # read at once


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far one segment was read."""

    offset: int = 0  # of the next frame, or HALTED
    sequence: int = 0  # of the next record
    schemas: tuple[int, ...] = ()  # offsets of the schemas before that frame
    filed: bool = False  # whether it went on in its Parquet files, to the end


class Brief(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A `PredictionRecord` whose inputs are not looked at."""

    sequence: int
    prediction_id: str
    time_ns: int
    endpoint: str
    deployment: str
    model: str
    package: str
    principal: str
    key_id: str
    request_id: str
    trace_id: str
    status: int
    code: str
    reason: str
    rows: int
    inputs: msgspec.Raw
    outputs: list[Any]
    stages_us: tuple[int, ...]
    snapshot: int
    role: str = ""


Told = SegmentHeader | RecordSchema
Reader = Callable[[Any, int], Named]
Portion = tuple[list[int], Sequence[Told | Brief | PredictionRecord], int]

_FullDecoder = msgspec.msgpack.Decoder[list[Told | PredictionRecord]]
_briefs: Final = msgspec.msgpack.Decoder(list[Told | Brief])
_records: Final = msgspec.msgpack.Decoder(list[Told | PredictionRecord])


class Tail:
    """The end of one open segment. `place` is where it stands."""

    def __init__(self, segment: Segment, place: Place = Place()) -> None:  # noqa: B008 - frozen
        self.place = place
        self._segment = segment
        self._salt = salt_of(segment.stem)
        self._readers: dict[str, tuple[Reader, Reader]] = {}  # of inputs and outputs, by package

    def outcomes(self, endpoint: str, *, inputs: bool, most: int) -> list[Outcome]:
        """Return what was appended for an endpoint, about `most`, and go on.

        An empty endpoint means all of them. Raises: OSError.
        """
        found: list[Outcome] = []
        for starts, told, end in self._portions(_records if inputs else _briefs):
            self._learn_before()
            schemas, awaited = list(self.place.schemas), self.place.sequence
            for start, one in zip(starts, told, strict=True):
                if isinstance(one, RecordSchema):
                    schemas.append(start)
                    self._readers[one.package] = _readers_of(one)
                elif not isinstance(one, SegmentHeader):
                    if one.sequence != awaited:
                        self._halt(awaited)
                        return found
                    awaited += 1
                    if endpoint in ("", one.endpoint):
                        found.append(self._outcome(one))
            self.place = Place(end, awaited, tuple(schemas))
            if len(found) >= most:
                break
        return found

    def place_of(self, since_ns: int | None) -> Place:
        """Return where the first record of that time stands; the end for None. Raises: OSError."""
        for starts, told, end in self._portions(_briefs):
            schemas, sequence = list(self.place.schemas), self.place.sequence
            for start, one in zip(starts, told, strict=True):
                if isinstance(one, RecordSchema):
                    schemas.append(start)
                elif not isinstance(one, SegmentHeader):
                    if since_ns is not None and one.time_ns >= since_ns:
                        return Place(start, sequence, tuple(schemas))
                    sequence = one.sequence + 1
            self.place = Place(end, sequence, tuple(schemas))
        return self.place

    def _portions(
        self, decoder: msgspec.msgpack.Decoder[list[Told | Brief]] | _FullDecoder
    ) -> Iterator[Portion]:
        """Yield whole frames: where each begins, what they hold, where the last one ends."""
        offset = self.place.offset
        while data := self._chunk(offset):
            taken = 0
            while spans := whole_spans(data, taken, self._salt):
                try:
                    told = decoder.decode(payloads_in(data, spans))
                except msgspec.DecodeError:
                    self._halt(self.place.sequence)
                    return
                taken = spans[-1][1]
                yield [offset + start for start, _ in spans], told, offset + taken
            if not taken and _is_damaged(data):
                self._halt(self.place.sequence)
            if not taken:
                return
            offset += taken

    def _outcome(self, record: Brief | PredictionRecord) -> Outcome:
        inputs, outputs = record.inputs, record.outputs
        of_inputs, of_outputs = self._readers.get(record.package, _NOTHING)
        return Outcome(
            record.prediction_id,
            record.time_ns,
            record.deployment,
            record.role,
            record.status,
            record.code,
            record.snapshot,
            record.rows,
            record.stages_us,
            of_outputs(outputs, record.rows) if outputs else {},
            of_inputs(inputs, record.rows) if inputs.__class__ is list and inputs else {},
            self._segment.stem,
            record.sequence,
            record.endpoint,
        )

    def _chunk(self, offset: int) -> memoryview:
        """Return the next bytes: at least the next frame, where it is whole."""
        number = self._segment.fileno()
        data = os.pread(number, CHUNK_BYTES, offset)
        if len(data) == CHUNK_BYTES:
            size = FRAME.size + int(FRAME.unpack_from(data)[0])
            if CHUNK_BYTES < size <= FRAME_BYTES_MAX:
                data = os.pread(number, size, offset)
        return memoryview(data)

    def _halt(self, sequence: int) -> None:
        self.place = Place(HALTED, sequence)

    def _learn_before(self) -> None:
        """Read the schemas that stand before the place, when there is something to read by them."""
        if self._readers or not self.place.schemas:
            return
        for offset in self.place.schemas:
            head = os.pread(self._segment.fileno(), FRAME.size, offset)
            size = int(FRAME.unpack(head)[0])
            data = os.pread(self._segment.fileno(), size, offset + FRAME.size)
            schema = msgspec.msgpack.decode(data, type=RecordSchema)
            self._readers[schema.package] = _readers_of(schema)


def _is_damaged(data: memoryview) -> bool:
    """Whether what follows is no frame, and not only the beginning of one."""
    if len(data) < FRAME.size:
        return False
    size = FRAME.size + int(FRAME.unpack_from(data)[0])
    return size > FRAME_BYTES_MAX or size <= len(data)


def _readers_of(schema: RecordSchema) -> tuple[Reader, Reader]:
    inputs = [
        (name, "BYTES" if personal else datatype, shape)
        for name, datatype, shape, personal in schema.inputs
    ]
    return _reader(inputs), _reader(list(schema.outputs))


def _reader(tensors: list[tuple[str, str, tuple[int, ...]]]) -> Reader:
    """Return what names the values of these tensors, one for each row."""
    names = [name for name, _, _ in tensors]
    if all(shape in ((), (1,)) for _, _, shape in tensors):

        def read_scalars(values: Any, rows: int) -> Named:  # noqa: ANN401 - of a record
            if rows == 1:
                return dict(zip(names, values, strict=False))
            return {
                name: _listed(given, datatype)
                for (name, datatype, _), given in zip(tensors, values, strict=False)
            }

        return read_scalars

    def read(values: Any, rows: int) -> Named:  # noqa: ANN401 - of a record
        return {
            name: _by_row(_listed(given, datatype), rows, shape)
            for (name, datatype, shape), given in zip(tensors, values, strict=False)
        }

    return read


def _listed(values: list[Any] | bytes, datatype: str) -> list[Any]:
    if isinstance(values, bytes):
        listed: list[Any] = np.frombuffer(values, ELEMENTS[datatype]).tolist()
        return listed
    return values


def _by_row(values: list[Any], rows: int, shape: tuple[int, ...]) -> list[Any]:
    if shape in ((), (1,)) or not rows:
        return values
    width = len(values) // rows or prod(shape)
    return [values[start : start + width] for start in range(0, len(values), width)]


def _nothing(values: object, rows: int) -> Named:  # noqa: ARG001 - as a `Reader`
    return {}


_NOTHING: Final = (_nothing, _nothing)
