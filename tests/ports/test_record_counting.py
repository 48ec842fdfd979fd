"""The contract of `RecordCounting`: the same tests for every adapter."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ports.written_log import NOW, NUMBERS, START_S, Log, answered, refused, segment
from servewell.adapters.embedded.monitoring.record_counting import FileRecordCounting
from servewell.adapters.embedded.records import FileRecords
from servewell.core.catalog.prediction_record import PredictionRecord, frame
from servewell.core.catalog.profile import (
    EVERYTHING,
    Bins,
    ColumnKind,
    ReferenceProfile,
    Side,
    WindowProfile,
)
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.operations.monitoring.profiles import category_digest, merged, merged_traffic
from servewell.ports.profiles import CountedPart, Part
from servewell.ports.record_counting import RecordCounting

SIGNATURE = Signature(
    inputs=(
        Input(name="x", datatype=Datatype.FP32),
        Input(name="count", datatype=Datatype.INT64),
        Input(name="carrier", datatype=Datatype.BYTES),
        Input(name="pair", datatype=Datatype.FP64, row_shape=(2,)),
        Input(name="email", datatype=Datatype.BYTES, personal=True),
    ),
    outputs=(
        Output(name="label", datatype=Datatype.INT64),
        Output(name="probabilities", datatype=Datatype.FP32, row_shape=(2,), classes=("0", "1")),
    ),
)
NUMBER, CATEGORY, PRESENCE = ColumnKind.NUMBER, ColumnKind.CATEGORY, ColumnKind.PRESENCE
REFERENCE = ReferenceProfile(
    package=NUMBERS.package,
    version="late:1",
    source="rows",
    bins=(
        Bins(column="x", side=Side.INPUT, kind=NUMBER, edges=(0.0, 0.5, 1.0)),
        Bins(column="carrier", side=Side.INPUT, kind=CATEGORY, categories=("AA", "UA")),
        Bins(column="email", side=Side.INPUT, kind=PRESENCE),
        Bins(
            column="pair[0]",
            side=Side.PROJECTION,
            kind=NUMBER,
            edges=(0.0, 1.0),
            direction=(1.0, 0.0),
            source="pair",
        ),
        Bins(column="label", side=Side.OUTPUT, kind=NUMBER, edges=(0.0, 1.0, 1.5)),
        Bins(
            column="probabilities:score",
            side=Side.SCORE,
            kind=NUMBER,
            edges=(0.0, 0.5, 1.0),
            source="probabilities",
        ),
    ),
    slices=("carrier",),
    rows={"": 2, "carrier=AA": 1, "carrier=UA": 1},
)


SOON = START_S + 1_800.0


class Counting:
    """A prediction log that is counted."""

    def __init__(self, folder: Path) -> None:
        self.log = Log(FileRecords(folder), folder)
        self.counting: RecordCounting = FileRecordCounting(folder)
        self.cursor = ""

    def parts(self) -> tuple[Part, ...]:
        """Compact what was written, and return the parts that are new."""
        self.log.compact()
        filed = self.counting.filed(self.cursor, most=1_000, now=NOW)
        self.cursor = filed.cursor
        return filed.parts

    def count(
        self, part: Part, reference: ReferenceProfile | None = REFERENCE, *, now: float = SOON
    ) -> CountedPart:
        """Count a part."""
        return self.counting.count(part, references=lambda _: reference, objective_ms=9.0, now=now)

    def whole(self, *records: PredictionRecord, **options: Any) -> CountedPart:  # noqa: ANN401 - options of several types
        """Write records of one hour, and count them."""
        self.log.write("w0-1-1-00000000", list(records))
        [part] = self.parts()
        return self.count(part, **options)


@pytest.fixture(params=[pytest.param(Counting, id="embedded")])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Counting:
    """Each adapter in turn."""
    make: Callable[[Path], Counting] = request.param
    return make(tmp_path / "records")


def row(number: int, x: Any = 0.25, carrier: Any = "AA", **changes: Any) -> PredictionRecord:  # noqa: ANN401 - values of any type
    """Return the record of one row."""
    inputs = [[x], [number], [carrier], [0.25, 1.5], ["token"]]
    return answered(number, **({"inputs": inputs} | changes))


def counts_of(window: WindowProfile, column: str, of: str = EVERYTHING) -> tuple[int, ...]:
    """Return the counts of a column."""
    return window.counts[of][column].places


def test_every_value_has_its_place(home: Counting) -> None:
    """Missing, not finite, below, in a bin, on an edge, above; named, unnamed, unseen."""
    xs = [None, float("inf"), -1.0, 0.0, 0.5, 1.0, 2.0, 0.75]
    carriers = ["AA", "UA", "DL", "ZZ", "", None, "AA", "AA"]
    reference = replace(
        REFERENCE,
        bins=tuple(
            replace(one, unnamed=(category_digest("DL"),)) if one.column == "carrier" else one
            for one in REFERENCE.bins
        ),
    )
    records = [row(n, *pair) for n, pair in enumerate(zip(xs, carriers, strict=True))]
    [window] = home.whole(*records, reference=reference).windows
    assert window.rows == {"": 8, "carrier=AA": 3, "carrier=UA": 1}
    assert counts_of(window, "x") == (1, 1, 1, 1, 3, 1)
    assert counts_of(window, "carrier") == (2, 3, 1, 1, 1)
    assert window.counts[""]["carrier"].unseen == {}
    assert counts_of(window, "x", "carrier=AA") == (1, 0, 0, 0, 1, 1)
    x = window.counts[""]["x"]
    assert (x.total, x.squares, x.least, x.greatest) == (3.25, 6.8125, -1.0, 2.0)
    assert counts_of(window, "pair[0]") == (0, 0, 0, 8, 0)
    assert counts_of(window, "probabilities:score") == (0, 0, 0, 0, 8, 0)
    assert counts_of(window, "label") == (0, 0, 0, 0, 8, 0)


def test_no_personal_value_is_kept(home: Counting) -> None:
    """Of a personal input only how often it is there, in a window and in a reference."""
    planted = "ada@planted.example"
    records = [
        row(n, inputs=[[0.5], [n], ["AA"], [0.25, 1.5], [planted if n else None]]) for n in range(4)
    ]
    counted = home.whole(*records)
    [window] = counted.windows
    assert counts_of(window, "email") == (1, 3)
    made = home.counting.first_rows([counted.part], NUMBERS.package, SIGNATURE, most=4)
    assert made is not None
    assert made.counts[""]["email"].places == (1, 3)
    assert "planted" not in f"{counted}{made}"


def test_a_text_never_seen_is_named_where_some_rows_have_it(home: Counting) -> None:
    """Three of a part, also in different minutes; what fewer have may be of a person."""
    those = ["ZZ", "ada@planted.example", "ZZ", "AA", "ZZ", "ada@planted.example"]
    records = [row(n, carrier=name, after_s=60 * n) for n, name in enumerate(those)]
    counted = home.whole(*records)
    assert merged(counted.windows).counts[""]["carrier"].unseen == {"ZZ": 3}
    assert "planted" not in repr(counted)


def test_what_became_personal_is_counted_by_presence(home: Counting) -> None:
    """By a rule that is younger than the bins: no token is a category, and no feed is broken."""
    inputs = ((*one[:3], one[3] or one[0] in ("x", "carrier")) for one in NUMBERS.inputs)
    later = msgspec.structs.replace(NUMBERS, inputs=tuple(inputs))
    after = row(1, inputs=[["token-x"], [1], ["token-carrier"], [0.25, 1.5], ["token"]])
    path = home.log.folder / "live" / "w0-1-1-00000000.segment"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(segment([row(0)]) + frame(later) + frame(after))
    [part] = home.parts()
    [window] = home.count(part).windows
    assert window.rows == {"": 2}
    assert set(window.counts[""]) == {"email", "pair[0]", "label", "probabilities:score"}
    made = home.counting.first_rows([part], NUMBERS.package, SIGNATURE, most=2)
    assert made is not None
    assert [made.counts[""][name].places for name in ("x", "carrier")] == [(0, 2), (0, 2)]
    assert "token" not in f"{window}{made}"


def test_a_shadow_is_profiled_apart_and_is_no_traffic(home: Counting) -> None:
    """Its outputs are its own deployment's, its inputs are the live record's."""
    shadow = {"deployment": "v2", "role": "shadow", "inputs": []}
    counted = home.whole(row(0), row(1), answered(0, **shadow), answered(1, **shadow))
    live, beside = sorted(counted.windows, key=lambda one: one.deployment)
    assert (live.deployment, live.rows[""], beside.deployment, beside.rows) == (
        *("champion", 2, "v2"),
        {"": 2},
    )
    assert set(beside.counts[""]) == {"label", "probabilities:score"}
    assert counts_of(beside, "label") == (0, 0, 0, 0, 2, 0)
    assert [(one.deployment, one.requests) for one in counted.traffic] == [("champion", 2)]


def test_rows_of_a_shadow_do_not_wait(home: Counting) -> None:
    """Callers get none of its answers, so that no reference profile can come of them."""
    assert home.whole(answered(0, role="shadow", inputs=[]), reference=None).waiting == {}


def test_an_output_that_was_not_asked_for_is_not_missing(home: Counting) -> None:
    """It is counted nowhere; the other output of the row is."""
    [window] = home.whole(row(0, outputs=[[1], []]), row(1)).windows
    assert sum(counts_of(window, "label")) == 2
    assert sum(counts_of(window, "probabilities:score")) == 1


def test_traffic_counts_every_request(home: Counting) -> None:
    """Well answered or late, refused, failed; by deployment, with codes and latencies."""
    slow = {"stages_us": (0, 0, 0, 20_000, 0)}
    counted = home.whole(
        row(0),
        row(1, **slow),
        row(2, status=500, code="SW-301", outputs=[]),
        refused(3),
        refused(4, status=429, code="SW-302"),
    )
    none, champion = sorted(counted.traffic, key=lambda one: one.deployment)
    assert (none.deployment, none.requests, none.refused) == ("", 2, 2)
    assert none.codes == {"SW-301": 1, "SW-302": 1}
    assert (champion.requests, champion.failed, champion.slow) == (3, 1, 1)
    assert champion.latency
    assert not none.latency
    [window] = counted.windows
    assert window.rows[""] == 2


def test_a_prediction_counts_once_in_a_part(home: Counting) -> None:
    """A record that stands there twice is told, and neither its rows nor the request again."""
    counted = home.whole(row(0), row(1), row(0), row(0))
    assert sum(one.rows[""] for one in counted.windows) == 2
    [traffic] = counted.traffic
    assert (traffic.requests, traffic.repeated) == (2, 2)


def test_times_are_the_records_own(home: Counting) -> None:
    """Whatever their order; what claims to be from the future counts now, and is told."""
    now = START_S + 400.0
    records = [
        row(number, time_ns=int((START_S + after) * 10**9))
        for number, after in enumerate((130, 10, 1_990, 70))
    ]
    counted = home.whole(*records, now=now)
    starts = [one.start for one in sorted(counted.traffic, key=lambda one: one.start)]
    assert starts == [START_S - 20 + 60 * at for at in (0, 1, 2, 7)]
    assert sorted(one.start for one in counted.windows) == starts
    assert [one.skewed for one in counted.traffic if one.start == starts[-1]] == [1]
    assert sum(one.late for one in counted.traffic) == 0
    assert sum(one.late for one in home.count(counted.part, now=now + 4_000).traffic) == 3


def test_rows_without_a_reference_are_told(home: Counting) -> None:
    """They can be counted once there is one, made of the first of them."""
    records = [row(number, number % 7, "UA" if number % 3 else "AA") for number in range(30)]
    counted = home.whole(*records, reference=None)
    assert counted.windows == ()
    assert counted.waiting == {NUMBERS.package: 30}
    assert home.counting.first_rows([counted.part], NUMBERS.package, SIGNATURE, most=31) is None
    made = home.counting.first_rows([counted.part], NUMBERS.package, SIGNATURE, most=20)
    assert made is not None
    assert made.rows == {"": 20}
    assert "first 20 rows" in made.source
    reference = replace(made, package=NUMBERS.package)
    [window] = home.counting.count_package(counted.part, reference, now=NOW)
    assert window.rows == {"": 30}
    assert sum(counts_of(window, "x")) == 30


@pytest.mark.parametrize("harm", ["corrupt", "gone"])
def test_what_cannot_be_read_is_counted_as_lost(home: Counting, harm: str) -> None:
    """The other parts count."""
    home.log.write("w0-1-1-00000000", [row(n) for n in range(3)])
    home.log.write("w1-1-1-00000000", [row(n, carrier="UA") for n in range(4)])
    parts = home.parts()
    path = next(home.log.folder.glob("parquet/**/w0-*.parquet"))
    if harm == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
        path.write_bytes(data)
    lost, whole = (home.count(part) for part in sorted(parts, key=lambda one: one.segment))
    assert lost.windows == ()
    assert [(one.lost, one.requests) for one in lost.traffic] == [(3, 0)]
    assert whole.windows[0].rows[""] == 4
    assert home.counting.count_package(lost.part, REFERENCE, now=NOW) == ()
    assert home.counting.first_rows([lost.part], NUMBERS.package, SIGNATURE, most=9) is None


def test_records_that_a_segment_lacks_are_told(home: Counting) -> None:
    """Once, with its first part; also where nothing of it is left."""
    path = home.log.write("w0-1-1-00000000", [row(n) for n in range(20)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    [part] = home.parts()
    assert part.missing == 1
    traffic = home.count(part).traffic
    assert (sum(one.lost for one in traffic), sum(one.requests for one in traffic)) == (1, 19)


@pytest.mark.parametrize("whole", [False, True], ids=["its last record", "all of it"])
def test_damage_that_no_later_record_betrays_is_told(home: Counting, *, whole: bool) -> None:
    """Nobody knows how many records the damaged end of a segment held; so its bytes are told."""
    path = home.log.write("w0-1-1-00000000", [row(n) for n in range(5)])
    data = bytearray(path.read_bytes())
    places = range(len(data)) if whole else range(len(data) - 20, len(data))
    for at in places:
        data[at] ^= 0xFF
    path.write_bytes(data)
    [part] = home.parts()
    assert part.missing == 0
    [found] = home.count(part).traffic if whole else [merged_traffic(home.count(part).traffic)]
    assert found.damaged >= len(places)
    assert found.requests == (0 if whole else 4)
    assert found.endpoint == ("" if whole else "flights")


def test_values_that_fit_no_schema_are_told(home: Counting) -> None:
    """The request counts, its values are nowhere, and how many bytes they were is told."""
    counted = home.whole(row(0), row(1, x="no number"))
    assert sum(one.rows[""] for one in counted.windows) == 1
    traffic = merged_traffic(counted.traffic)
    assert (traffic.requests, traffic.lost, traffic.damaged > 0) == (2, 0, True)


def test_parts_are_told_from_the_cursor_on(home: Counting) -> None:
    """So many at a time, by segment, endpoint and hour, none left out."""
    for at in range(3):
        records = [row(at, endpoint=name) for name in ("a", "b")]
        later = [row(9 + at, after_s=7_200)]
        home.log.write(f"w{at}-1-1-00000000", records + later)
    home.log.compact()
    found: list[Part] = []
    cursor, more = "", True
    while more:
        filed = home.counting.filed(cursor, most=2, now=NOW)
        found += filed.parts
        cursor, more = filed.cursor, filed.more
    told = [(one.segment, one.endpoint, one.hour) for one in found]
    assert len(told) == len(set(told)) == 9
    assert home.counting.filed(cursor, most=2, now=NOW).parts == ()


def test_a_log_that_was_restored_is_counted_on(home: Counting) -> None:
    """It ends before the cursor: its last days come again, what is older does not, told once."""
    home.log.write("w0-1-1-00000000", [row(0)])
    first = home.parts()
    journal = home.log.folder / "journal" / "00000001.jsonl"
    before = journal.read_bytes()
    home.log.write("w1-1-1-00000000", [row(1)])
    home.parts()
    journal.write_bytes(before)
    month_later = home.counting.filed(home.cursor, most=9, now=NOW + 30 * 86_400)
    assert (month_later.parts, month_later.is_other_log) == ((), True)
    found = home.counting.filed(home.cursor, most=9, now=NOW)
    assert (found.parts, found.is_other_log) == (first, True)
    home.cursor = found.cursor
    home.log.write("w2-1-1-00000000", [row(2)])
    home.log.compact()
    found = home.counting.filed(home.cursor, most=9, now=NOW)
    assert ([one.segment for one in found.parts], found.is_other_log) == (
        ["w2-1-1-00000000"],
        False,
    )


values = st.floats(-2, 2, width=32) | st.none() | st.sampled_from([0.0, 0.5, 1.0, float("inf")])


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(values, st.sampled_from(["AA", "UA", "ZZ", ""]), st.integers(0, 300)),
        min_size=1,
        max_size=40,
    )
)
def test_counts_are_those_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float | None, str, int]]
) -> None:
    """What is counted is what numpy's own histogram says of the same rows, minute by minute."""
    home = Counting(tmp_path_factory.mktemp("log"))
    records = [row(n, x, name, after_s=after) for n, (x, name, after) in enumerate(rows)]
    whole = merged(home.whole(*records).windows)
    xs = np.array([np.nan if x is None else x for x, _, _ in rows], np.float32)
    finite = xs[np.isfinite(xs)]
    inside, _ = np.histogram(finite, bins=[0.0, 0.5, 1.0])
    assert counts_of(whole, "x") == (
        *(int(np.isnan(xs).sum()), int(np.isinf(xs).sum()), int((finite < 0).sum())),
        *(*inside.tolist(), int((finite > 1).sum())),
    )
    assert whole.counts[""]["x"].total == pytest.approx(float(finite.astype(float).sum()))
    names = Counter(name for _, name, _ in rows)
    expected = (names[""], names["AA"], names["UA"], 0, names["ZZ"])
    assert counts_of(whole, "carrier") == expected
    for name in ("AA", "UA"):
        assert whole.rows.get(f"carrier={name}", 0) == names[name]
