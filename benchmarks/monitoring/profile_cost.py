"""What profiles cost the control process, and how fast a look back is.

uv run python benchmarks/monitoring/profile_cost.py
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import sqlalchemy as sa

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.database import Database, open_database
from servewell.adapters.embedded.monitoring.profiles import SqlProfiles
from servewell.adapters.embedded.monitoring.record_counting import FileRecordCounting
from servewell.adapters.embedded.records import FileRecords
from servewell.adapters.embedded.state_tables import PROFILE_WINDOW, TRAFFIC_WINDOW
from servewell.core.catalog.prediction_record import (
    PredictionRecord,
    RecordSchema,
    SegmentHeader,
    frame,
)
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.ports.profiles import CountedPart, Part

PACKAGE = "a" * 64
NUMBERS, TEXTS = 10, 4  # inputs; the output makes fifteen columns
RECORDS = 100_000
MINUTES = 1_440
DAYS = 30
HOUR_S, DAY_S = 3_600, 86_400
LOOKS = 25

SIGNATURE = Signature(
    inputs=(
        *(Input(name=f"n{at}", datatype=Datatype.FP32) for at in range(NUMBERS)),
        *(Input(name=f"t{at}", datatype=Datatype.BYTES) for at in range(TEXTS)),
    ),
    outputs=(Output(name="p", datatype=Datatype.FP32, row_shape=(2,), classes=("no", "yes")),),
)
SCHEMA = RecordSchema(
    package=PACKAGE,
    inputs=tuple((one.name, one.datatype.value, (1,), False) for one in SIGNATURE.inputs),
    outputs=tuple((one.name, one.datatype.value, one.row_shape) for one in SIGNATURE.outputs),
)


def record(number: int, start_s: float, draw: np.random.Generator) -> PredictionRecord:
    """Return the record of one answered row, all of them spread over an hour."""
    chance = draw.random()
    numbers = [[one] for one in draw.normal(size=NUMBERS).tolist()]
    texts = [[f"c{one}"] for one in draw.integers(20, size=TEXTS)]
    return PredictionRecord(
        sequence=number,
        prediction_id=f"{number:032x}",
        time_ns=int((start_s + number * HOUR_S / RECORDS) * 1e9),
        endpoint="e",
        deployment="d",
        model="m:1",
        package=PACKAGE,
        principal="ada",
        key_id="k",
        request_id="",
        trace_id=f"{number:032x}",
        status=200,
        code="",
        reason="",
        rows=1,
        inputs=numbers + texts,
        outputs=[[1 - chance, chance]],
        stages_us=(5, 10, 0, 100, 5),
        snapshot=1,
    )


def write_segment(folder: Path, start_s: float) -> None:
    """Write a segment as a worker that has ended left it."""
    draw = np.random.default_rng(7)
    live = folder / "live"
    live.mkdir(parents=True)
    with (live / "w0-1-1-00000000.segment").open("wb") as file:
        file.write(frame(SegmentHeader(worker=0, pid=1, started_ns=2)))
        file.write(frame(SCHEMA))
        for number in range(RECORDS):
            file.write(frame(record(number, start_s, draw)))


def timed(work: Callable[[], object]) -> float:
    """Return the milliseconds of the processor that a call takes, the median of some."""
    taken = []
    for _ in range(LOOKS):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1e3)
    return median(taken)


def many_days(counted: CountedPart, end: int) -> list[CountedPart]:
    """Return days of a window each minute, as the counted ones are."""
    window, traffic = counted.windows[0], counted.traffic[0]
    days = []
    for day in range(DAYS):
        starts = [end - (DAYS - day) * DAY_S + minute * 60 for minute in range(MINUTES)]
        days.append(
            replace(
                counted,
                part=replace(counted.part, segment=f"w1-{day}", hour=starts[0]),
                windows=tuple(replace(window, start=start) for start in starts),
                traffic=tuple(replace(traffic, start=start) for start in starts),
            )
        )
    return days


def count(folder: Path, start_s: float) -> CountedPart:
    """Count an hour's records, and say what that cost."""
    write_segment(folder, start_s)
    FileRecords(folder).compact(start_s + 2 * HOUR_S, age_s=0)
    counting = FileRecordCounting(folder)
    [part] = counting.filed("", most=9, now=start_s + HOUR_S).parts
    made = counting.first_rows([part], PACKAGE, SIGNATURE, most=10_000)
    if made is None:
        raise SystemExit("the log cannot be read")
    reference = replace(made, package=PACKAGE)

    def once(part: Part = part) -> CountedPart:
        return counting.count(
            part, references=lambda _: reference, objective_ms=100.0, now=start_s + HOUR_S
        )

    once()
    began = time.process_time()
    counted = once()
    spent_us = (time.process_time() - began) * 1e6
    print(f"{len(reference.bins)} columns, {RECORDS:,} records in {len(counted.windows)} minutes")
    print(f"counting: {spent_us / RECORDS:.2f} microseconds of the processor a record")
    return counted


def kept_mb(database: Database) -> float:
    """Return the megabytes of all windows that are kept."""
    with database.reading() as connection:
        sizes = [
            connection.execute(sa.select(sa.func.sum(sa.func.length(table.c.body)))).scalar_one()
            for table in (PROFILE_WINDOW, TRAFFIC_WINDOW)
        ]
    return float(sum(sizes)) / 1e6


def main() -> None:
    """Measure and print."""
    now = int(SystemClock().now())
    end = now - now % HOUR_S
    with TemporaryDirectory() as folder:
        counted = count(Path(folder) / "records", end - HOUR_S)
        database = open_database(f"sqlite:///{folder}/state.db")
        database.migrate()
        profiles = SqlProfiles(database, SystemClock())
        began = time.process_time()
        profiles.add(counted)
        added_us = (time.process_time() - began) * 1e6
        print(f"keeping: {added_us / RECORDS:.2f} microseconds of the processor a record")
        for day in many_days(counted, end - end % DAY_S):
            profiles.add(day)
        profiles.forget(now - HOUR_S)
        profiles.forget(now)
        print(f"{DAYS} days of a window each minute: {kept_mb(database):.1f} MB")
        for name, seconds in (("1 hour", HOUR_S), ("1 day", DAY_S), (f"{DAYS} days", DAYS * DAY_S)):
            total = timed(
                lambda seconds=seconds: profiles.total("e", "d", since=end - seconds, until=end)
            )
            traffic = timed(
                lambda seconds=seconds: profiles.traffic(
                    "e", since=end - seconds, until=end, finest=HOUR_S
                )
            )
            print(f"look back of {name}: {total:.1f} ms; its traffic by the hour: {traffic:.1f} ms")
        database.close()


if __name__ == "__main__":
    main()
