"""One line in the prediction log, and the framing of the segments that hold them.

A segment is a file of frames, each `length (u32 LE) | CRC-32 of the payload (u32 LE) | payload`.
The first payload is a `SegmentHeader`; a `RecordSchema` stands before the first record of a
package; the rest are `PredictionRecord`s. Payloads are MessagePack arrays, tagged by kind. A
frame is written by one append, so a killed process leaves at most a torn last frame, which was
never acknowledged.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

import msgspec

FRAME: Final = Struct("<II")
FRAME_BYTES_MAX: Final = 1 << 30


class SegmentHeader(msgspec.Struct, frozen=True, array_like=True, tag=0, kw_only=True):
    """Who writes a segment. Records of one segment are numbered from 0 without a gap."""

    worker: int
    pid: int
    started_ns: int  # since the epoch


class RecordSchema(msgspec.Struct, frozen=True, array_like=True, tag=1, kw_only=True):
    """Names and types of the inputs and outputs of the records of one package."""

    package: str
    inputs: tuple[tuple[str, str, tuple[int, ...], bool], ...]  # name, datatype, shape, personal
    outputs: tuple[tuple[str, str, tuple[int, ...]], ...]


class PredictionRecord(msgspec.Struct, frozen=True, array_like=True, tag=2, kw_only=True):
    """What happened to one authenticated request.

    `inputs` and `outputs` hold, in the order of the schema, the flat row-major values of each
    tensor: lists, or little-endian bytes of a numeric tensor. Personal values are tokens. Both
    are empty where the request was refused before it was decoded, or failed.
    """

    sequence: int  # number of this record in its segment
    prediction_id: str
    time_ns: int  # when the request was read, since the epoch
    endpoint: str
    deployment: str  # empty where the request was refused before one was chosen
    model: str  # `model:number`, or empty
    package: str  # or empty
    principal: str
    key_id: str
    request_id: str  # the caller's own, or empty
    trace_id: str
    status: int  # HTTP status of the answer
    code: str  # error code, or empty
    reason: str  # what was wrong, without any value of the request; or empty
    rows: int
    inputs: list[Any]
    outputs: list[Any]
    stages_us: tuple[int, ...]  # one per entry of STAGES
    snapshot: int  # version served from


STAGES: Final = ("authenticate", "decode", "queue", "infer", "encode")

Frame = SegmentHeader | RecordSchema | PredictionRecord
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A part of a segment that cannot be read."""

    offset: int  # of its first byte
    bytes: int
    torn: bool  # the end of the file within a frame: what was being written at a kill


def frame(payload: Frame) -> bytes:
    """Return one frame, ready to append."""
    data = _encoder.encode(payload)
    return FRAME.pack(len(data), zlib.crc32(data)) + data


def frames(data: bytes | memoryview) -> Iterator[Frame | Damage]:
    """Yield what a segment holds, in order; what cannot be read comes as `Damage`, never lost.

    After a damaged frame whose length is plausible, reading goes on behind it; where it is not,
    the rest of the segment is one `Damage`.
    """
    view = memoryview(data)
    offset, size = 0, len(view)
    while offset < size:
        left = size - offset
        if left < FRAME.size:
            yield Damage(offset=offset, bytes=left, torn=True)
            return
        length, checksum = FRAME.unpack_from(view, offset)
        whole = FRAME.size + length
        if whole > left or length > FRAME_BYTES_MAX:
            yield Damage(offset=offset, bytes=left, torn=True)
            return
        payload = view[offset + FRAME.size : offset + whole]
        yield _read(payload, checksum) or Damage(offset=offset, bytes=whole, torn=False)
        offset += whole


def _read(payload: memoryview, checksum: int) -> Frame | None:
    if zlib.crc32(payload) != checksum:
        return None
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        return None
