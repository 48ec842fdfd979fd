"""What the control process pays for a record: a segment of the prediction log becomes Parquet.

uv run python benchmarks/records/compaction.py --records 50000 --rounds 5
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from servewell.adapters.embedded.background import collect_seldom
from servewell.adapters.embedded.records import FileRecords
from servewell.core.catalog.prediction_record import (
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
    segment_stem,
)

FIRST_NS: Final = 1_700_000_000_000_000_000
APART_NS: Final = 100_000  # ten thousand requests a second
NOW: Final = 1_700_010_000.0
SALT: Final = 1
CARRIERS: Final = ("AA", "B6", "DL", "EV", "UA", "WN")
MISSING: Final = 0.1  # share of the measured values
MICRO: Final = 1_000_000
MEGA: Final = 1_000_000

Values = Callable[[np.random.Generator], tuple[list[Any], list[Any]]]
Case = tuple[RecordSchema, Values]


def numbers(draw: np.random.Generator) -> tuple[list[Any], list[Any]]:
    """Return one row of thirty numbers in one tensor, with its label and probabilities."""
    return [draw.random(30, np.float32).tolist()], _answer(draw)


def flights(draw: np.random.Generator) -> tuple[list[Any], list[Any]]:
    """Return one row of fifteen inputs: texts, whole numbers, and numbers of which some lack."""
    texts = [[CARRIERS[place]] for place in draw.integers(0, len(CARRIERS), 5)]
    whole = [[number] for number in draw.integers(0, 1_440, 2).tolist()]
    measured = [[None if one < MISSING else one * 100] for one in draw.random(8).tolist()]
    return [*texts, *whole, *measured], _answer(draw)


def _answer(draw: np.random.Generator) -> list[Any]:
    late = float(np.float32(draw.random()))
    return [[round(late)], [1 - late, late]]


OUTPUTS: Final = (("label", "INT64", ()), ("probabilities", "FP32", (2,)))
DATATYPES: Final = (*["BYTES"] * 5, *["INT64"] * 2, *["FP32"] * 8)
CASES: Final[dict[str, Case]] = {
    "30 numbers in one tensor": (
        RecordSchema(
            package="a" * 64, inputs=(("features", "FP32", (30,), False),), outputs=OUTPUTS
        ),
        numbers,
    ),
    "15 inputs of three types": (
        RecordSchema(
            package="b" * 64,
            inputs=tuple((f"input{n}", kind, (1,), False) for n, kind in enumerate(DATATYPES)),
            outputs=OUTPUTS,
        ),
        flights,
    ),
}


def main() -> None:
    """Compact the same segments again and again; print what a record costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000, help="in a segment")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    collect_seldom()  # as the control process does
    for title, case in CASES.items():
        data = segment(case, options.records)
        rounds = [_round(data) for _ in range(options.rounds + 1)][1:]  # the first imports
        cpu_s, longest_s, size = (median(found) for found in zip(*rounds, strict=True))
        sys.stdout.write(
            f"{title}: {cpu_s / options.records * MICRO:.2f} CPU-us a record, "
            f"{longest_s:.2f} s for {options.records} records; "
            f"{len(data) / MEGA:.1f} MB became {size / MEGA:.1f}\n"
        )


def segment(case: Case, count: int) -> bytes:
    """Return a segment of answered requests of one row."""
    schema, values = case
    draw = np.random.default_rng(0)
    header = SegmentHeader(worker=0, pid=1, started_ns=FIRST_NS)
    records = (_record(schema, number, draw, values) for number in range(count))
    parts = (frame(one, SALT) for one in (header, schema, *records))
    return b"".join(parts)


def _record(
    schema: RecordSchema, number: int, draw: np.random.Generator, values: Values
) -> PredictionRecord:
    inputs, outputs = values(draw)
    return PredictionRecord(
        sequence=number,
        prediction_id=draw.bytes(16).hex(),
        time_ns=FIRST_NS + number * APART_NS,
        endpoint="measured",
        deployment="champion",
        model="measured:1",
        package=schema.package,
        principal="benchmark",
        key_id="key-1",
        request_id="",
        trace_id=draw.bytes(16).hex(),
        status=200,
        code="",
        reason="",
        rows=1,
        inputs=inputs,
        outputs=outputs,
        stages_us=tuple(draw.integers(1, 400, 5).tolist()),
        snapshot=7,
    )


def _round(data: bytes) -> tuple[float, float, float]:
    """Compact the segment in a log of its own; return processor time, time, and bytes written."""
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / "live"
        live.mkdir()
        stem = segment_stem(SegmentHeader(worker=0, pid=1, started_ns=FIRST_NS), SALT)
        (live / f"{stem}.segment").write_bytes(data)
        began, busy = time.perf_counter(), time.process_time()
        FileRecords(Path(folder)).compact(NOW, age_s=0)
        spent = time.process_time() - busy, time.perf_counter() - began
        return *spent, float(sum(_sizes(Path(folder) / "parquet")))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*.parquet"):
        yield path.stat().st_size


if __name__ == "__main__":
    main()
