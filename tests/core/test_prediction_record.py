"""The framing of the prediction log."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from servewell.core.catalog.prediction_record import (
    FRAME,
    Damage,
    Frame,
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
    frames,
    located_frames,
    salt_of,
    segment_stem,
)

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(0, 2**63 - 1)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | words
tensors = st.lists(st.lists(scalars, max_size=3) | st.binary(max_size=16), max_size=3)

headers = st.builds(SegmentHeader, worker=numbers, pid=numbers, started_ns=numbers)
shapes = st.lists(st.integers(-1, 5), max_size=2).map(tuple)
schemas = st.builds(
    RecordSchema,
    package=words,
    inputs=st.lists(st.tuples(words, words, shapes, st.booleans()), max_size=2).map(tuple),
    outputs=st.lists(st.tuples(words, words, shapes), max_size=2).map(tuple),
)
records = st.builds(
    PredictionRecord,
    sequence=numbers,
    prediction_id=words,
    time_ns=numbers,
    endpoint=words,
    deployment=words,
    model=words,
    package=words,
    principal=words,
    key_id=words,
    request_id=words,
    trace_id=words,
    status=numbers,
    code=words,
    reason=words,
    rows=numbers,
    inputs=tensors,
    outputs=tensors,
    stages_us=st.lists(numbers, max_size=5).map(tuple),
    snapshot=numbers,
)
segments = st.tuples(headers, st.lists(schemas | records, max_size=5)).map(
    lambda parts: [parts[0], *parts[1]]
)


def shown(contents: list[Frame | Damage]) -> list[str]:
    """Return what can be compared where a value may be not-a-number."""
    return [repr(one) for one in contents]


@given(segments)
def test_a_segment_reads_back_as_it_was_written(written: list[Frame]) -> None:
    """Every frame, in order, with the types and the values that it had."""
    segment = b"".join(map(frame, written))
    assert shown(list(frames(segment))) == shown(list(written))
    assert shown(list(frames(memoryview(segment)))) == shown(list(written))


@given(segments, st.data())
def test_a_cut_leaves_the_whole_frames_before_it(written: list[Frame], data: st.DataObject) -> None:
    """A kill in the middle of a write costs that frame alone, and it is known for what it is."""
    whole = [frame(one) for one in written]
    cut = data.draw(st.integers(0, len(b"".join(whole)) - 1))
    ends = [sum(map(len, whole[:count])) for count in range(len(whole) + 1)]
    count = max(count for count, end in enumerate(ends) if end <= cut)
    found = list(frames(b"".join(whole)[:cut]))
    torn = Damage(offset=ends[count], bytes=cut - ends[count], torn=True)
    expected = [*written[:count], torn] if torn.bytes else written[:count]
    assert shown(found) == shown(list(expected))


@given(segments, st.data())
def test_a_changed_byte_never_gives_a_wrong_record(
    written: list[Frame], data: st.DataObject
) -> None:
    """What is read was written, in its order; one changed byte costs at most its own frame."""
    segment = bytearray(b"".join(map(frame, written)))
    place = data.draw(st.integers(0, len(segment) - 1))
    segment[place] ^= data.draw(st.integers(1, 255))
    before = [one for one, (start, end) in _placed(written) if not start <= place < end]
    found = list(frames(bytes(segment)))
    assert shown([one for one in found if not isinstance(one, Damage)]) == shown(list(before))
    assert [one for one in found if isinstance(one, Damage)]


@given(segments, st.binary(max_size=64), st.data())
def test_every_byte_is_accounted_for(
    written: list[Frame], noise: bytes, data: st.DataObject
) -> None:
    """Frames and damages stand side by side from the first byte to the last, whatever is there."""
    segment = b"".join(map(frame, written))
    place = data.draw(st.integers(0, len(segment)))
    segment = segment[:place] + noise + segment[place:]
    located = list(located_frames(segment))
    edges = [0, *(end for _, end, _ in located)]
    assert edges[-1] == len(segment)
    assert [(start, end) for start, end, _ in located] == list(pairwise(edges))
    for start, end, content in located:
        if isinstance(content, Damage):
            assert (content.offset, content.bytes) == (start, end - start)


@given(records, records, st.integers(1, 2**32 - 1), st.data())
def test_a_planted_frame_is_never_taken_for_one(
    forged: PredictionRecord, asked: PredictionRecord, salt: int, data: st.DataObject
) -> None:
    """A caller that puts a whole frame into its request forges no record, whatever is damaged."""
    asked = replace(asked, inputs=[frame(forged)])
    segment = bytearray(frame(asked, salt))
    segment[data.draw(st.integers(0, FRAME.size - 1))] ^= 0xFF
    cut = data.draw(st.integers(0, len(segment)))
    for damaged in (bytes(segment), bytes(segment[:cut])):
        assert all(isinstance(one, Damage) for one in frames(damaged, salt))


@given(st.integers(0, 2**32 - 1), st.integers(0, 64), st.integers(0, 2**31), st.integers(0, 2**63))
def test_the_name_of_a_segment_holds_its_salt(
    salt: int, worker: int, pid: int, started_ns: int
) -> None:
    """Who finds a segment can read it; any other name means no salt."""
    header = SegmentHeader(worker=worker, pid=pid, started_ns=started_ns)
    assert salt_of(segment_stem(header, salt)) == salt
    assert salt_of("w0-1-1") == 0


@given(st.binary(max_size=200))
def test_any_bytes_may_be_there(data: bytes) -> None:
    """What is no segment is damage, never an exception and never silence."""
    found = list(frames(data))
    assert sum(one.bytes for one in found if isinstance(one, Damage)) == len(data)


def _placed(written: list[Frame]) -> list[tuple[Frame, tuple[int, int]]]:
    ends = [sum(len(frame(one)) for one in written[:count]) for count in range(len(written) + 1)]
    return list(zip(written, pairwise(ends), strict=True))
