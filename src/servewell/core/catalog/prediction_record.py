"""One line in the prediction log, and the framing of the segments that hold them.

A segment is a file of frames, each `length (u32 LE) | CRC-32 of the payload (u32 LE) | payload`.
The first payload is a `SegmentHeader`; a `RecordSchema` stands before the first record of a
package; the rest are `PredictionRecord`s. Payloads are MessagePack arrays, tagged by kind. A
frame is written by one append, so a killed process leaves at most a torn last frame, which was
never acknowledged.

A caller chooses what stands in a payload, so it could place there what looks like a frame, to be
found when the bytes around it are damaged. The CRC of each segment therefore starts from a salt,
random and known from the name of its file alone, which no caller can tell.
"""

import re
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


class PredictionRecord(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """What happened to one authenticated request.

    `inputs` and `outputs` hold, in the order of the schema, the flat row-major values of each
    tensor: lists, or little-endian bytes of a numeric tensor. Personal values are tokens. Both
    are empty where the request was refused, `outputs` also where the model failed. An output that
    was not asked for is an empty list. A record of a shadow holds no inputs: the live record of the
    same prediction does, as the deployment that answered took them.
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
    # `shadow` where nobody got this answer, and its `prediction_id` is the live one's; `pinned` or
    # `stopped` where callers did, and the traffic's draw did not choose who gave it.
    role: str = ""


STAGES: Final = ("authenticate", "decode", "queue", "infer", "encode")
SHADOW: Final = "shadow"
PINNED: Final = "pinned"  # the caller named the deployment or version that was to answer
STOPPED: Final = "stopped"  # an emergency stop decided what became of it, well or badly
LATER_FIELDS: Final = ("role",)  # that records of earlier segments end without

Frame = SegmentHeader | RecordSchema | PredictionRecord
_SALTED: Final = re.compile(r"w[0-9]+-[0-9]+-[0-9]+-([0-9a-f]{8})")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A part of a segment that cannot be read."""

    offset: int  # of its first byte
    bytes: int
    torn: bool  # the end of the file within a frame: what was being written at a kill


def segment_stem(header: SegmentHeader, salt: int) -> str:
    """Return the name of a segment, without its ending; `salt` is a random 32-bit number."""
    return f"w{header.worker}-{header.started_ns}-{header.pid}-{salt:08x}"


def salt_of(stem: str) -> int:
    """Return the salt of the segment of that name; 0 where the name holds none."""
    found = _SALTED.fullmatch(stem)
    return int(found[1], 16) if found else 0


def frame(payload: Frame, salt: int = 0) -> bytes:
    """Return one frame, ready to append to a segment with this salt."""
    data = _encoder.encode(payload)
    return FRAME.pack(len(data), zlib.crc32(data, salt)) + data


def frames(data: bytes | memoryview, salt: int = 0) -> Iterator[Frame | Damage]:
    """Yield what a segment holds, in order; what cannot be read comes as `Damage`, never lost.

    A damaged part ends where the next whole frame begins, so it hides none behind it.
    """
    return (content for _, _, content in located_frames(data, salt))


def located_frames(
    data: bytes | memoryview, salt: int = 0
) -> Iterator[tuple[int, int, Frame | Damage]]:
    """Yield what `frames` does, each with the offset of its first byte and of the byte behind."""
    view = memoryview(data)
    offset = 0
    while offset < len(view):
        found = _frame_at(view, offset, salt)
        end = _end_of(view, offset) if found else _next_whole(view, offset + 1, salt)
        yield offset, end, found or _damage(view, offset, end=end, salt=salt)
        offset = end


def _end_of(view: memoryview, offset: int) -> int:
    """Return where the frame at `offset` says it ends; behind the view where that is torn off."""
    if len(view) - offset < FRAME.size:
        return offset + FRAME.size
    length: int = FRAME.unpack_from(view, offset)[0]
    return offset + FRAME.size + length


def _frame_at(view: memoryview, offset: int, salt: int) -> Frame | None:
    """Return the frame that begins at `offset`, or None where none that is whole does."""
    end = _end_of(view, offset)
    if end > len(view) or end - offset > FRAME_BYTES_MAX:
        return None
    payload = view[offset + FRAME.size : end]
    if zlib.crc32(payload, salt) != FRAME.unpack_from(view, offset)[1]:
        return None
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        return None


def _next_whole(view: memoryview, start: int, salt: int) -> int:
    """Return where the next whole frame begins, or the end: found by how payloads begin."""
    for found in _HEADS.finditer(view, start + FRAME.size):
        offset = found.start() - FRAME.size
        if _frame_at(view, offset, salt) is not None:
            return offset
    return len(view)


def _damage(view: memoryview, offset: int, *, end: int, salt: int) -> Damage:
    cut_off = end == len(view) and end < _end_of(view, offset) <= offset + FRAME_BYTES_MAX
    torn = cut_off and not _complete(view, offset, salt)
    return Damage(offset=offset, bytes=end - offset, torn=torn)


def _complete(view: memoryview, offset: int, salt: int) -> bool:
    """Whether all of a payload is there, so that only the length before it is wrong."""
    rest = view[offset + FRAME.size :]
    return bool(rest) and zlib.crc32(rest, salt) == FRAME.unpack_from(view, offset)[1]


def _head(kind: type[RecordSchema | PredictionRecord], *, without: int = 0) -> bytes:
    """Return how MessagePack begins the array of a kind: its length, then its tag.

    `without` is how many of the last fields are not there.
    """
    length = len(kind.__struct_fields__) + 1 - without
    tag = int(kind.__struct_config__.tag or 0)
    short = bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")  # noqa: PLR2004 - the format's own bound
    return short + bytes((tag,))


_HEADS: Final = re.compile(
    b"|".join(
        re.escape(head)
        for head in (
            _head(PredictionRecord),
            _head(PredictionRecord, without=len(LATER_FIELDS)),
            _head(RecordSchema),
        )
    )
)
