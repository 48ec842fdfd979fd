"""A prediction log that a test writes: segments as workers leave them, and what is in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from servewell.core.catalog.prediction_record import (
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
)
from servewell.ports.records import RecordQuery, Records

Row = dict[str, Any]

START_S = 1_700_000_000  # 2023-11-14T22:13:20 UTC
NOW = START_S + 30 * 3_600.0
EVERYTHING = RecordQuery()

NUMBERS = RecordSchema(
    package="a" * 64,
    inputs=(
        ("x", "FP32", (1,), False),
        ("count", "INT64", (1,), False),
        ("carrier", "BYTES", (1,), False),
        ("pair", "FP64", (2,), False),
        ("email", "BYTES", (1,), True),
    ),
    outputs=(("label", "INT64", ()), ("probabilities", "FP32", (2,))),
)
TEXTS = RecordSchema(  # the same names with other types, one name more, one less
    package="b" * 64,
    inputs=(("x", "BYTES", (1,), False), ("sure", "BOOL", (1,), False)),
    outputs=(("label", "BYTES", ()),),
)
SCHEMAS = {schema.package: schema for schema in (NUMBERS, TEXTS)}


@dataclass(frozen=True)
class Log:
    """A prediction log and the folder that workers write its segments to."""

    records: Records
    folder: Path

    def write(self, stem: str, records: list[PredictionRecord], *, tail: bytes = b"") -> Path:
        """Write a segment as a worker that has ended left it."""
        path = self.folder / "live" / f"{stem}.segment"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(segment(records) + tail)
        return path

    def read(self, query: RecordQuery = EVERYTHING) -> list[Row]:
        """Read what is asked for."""
        return list(self.records.read(query))

    def ids(self, query: RecordQuery = EVERYTHING) -> list[str]:
        """Read the prediction ids of what is asked for."""
        return [row["prediction_id"] for row in self.records.read(query)]

    def compact(self) -> tuple[str, ...]:
        """Compact everything that can be; return the files."""
        return self.records.compact(NOW, age_s=0).files


def segment(records: list[PredictionRecord]) -> bytes:
    """Return a segment: numbered records, each schema before the first record that needs it."""
    parts = [frame(SegmentHeader(worker=0, pid=1, started_ns=2))]
    known: set[str] = set()
    for number, record in enumerate(records):
        if record.package in SCHEMAS and record.package not in known:
            known.add(record.package)
            parts.append(frame(SCHEMAS[record.package]))
        parts.append(frame(msgspec.structs.replace(record, sequence=number)))
    return b"".join(parts)


def answered(number: int, *, after_s: float = 0, **changes: Any) -> PredictionRecord:  # noqa: ANN401 - fields of any type
    """Return the record of one answered row."""
    record = PredictionRecord(
        sequence=number,
        prediction_id=f"id-{number:06d}",
        time_ns=int((START_S + after_s) * 10**6) * 1_000 + number * 1_000,
        endpoint="flights",
        deployment="champion",
        model="late:1",
        package=NUMBERS.package,
        principal="ada",
        key_id="k1",
        request_id="r",
        trace_id="t",
        status=200,
        code="",
        reason="",
        rows=1,
        inputs=[[0.5], [number], ["AA"], [0.25, 1.5], ["token"]],
        outputs=[[1], [0.25, 0.75]],
        stages_us=(1, 2, 3, 4, 5),
        snapshot=7,
    )
    return msgspec.structs.replace(record, **changes)


def refused(number: int, **changes: Any) -> PredictionRecord:  # noqa: ANN401 - fields of any type
    """Return the record of a request that was refused before a deployment was chosen."""
    blank = {"deployment": "", "model": "", "package": "", "inputs": [], "outputs": [], "rows": 0}
    why = {"status": 400, "code": "SW-301", "reason": "row 0: `x` is missing"}
    return answered(number, **(blank | why | changes))
