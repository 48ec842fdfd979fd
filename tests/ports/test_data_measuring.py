"""What is measured of rows, against SciPy, scikit-learn and changes that were made on purpose."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, spearmanr
from sklearn.metrics import roc_auc_score

from servewell.adapters.embedded.job.data.leakage import area, correlation, measure_leaks
from servewell.adapters.embedded.job.data.measuring import measure_data, new_rows
from servewell.adapters.embedded.job.data.repeats import copies, row_digests
from servewell.adapters.embedded.job.data.shifts import Pair, chi_square, measure_shifts, psi
from servewell.core.catalog.data_facts import Against, DataFacts, Shift
from servewell.core.catalog.gate import GateVerdict
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.catalog.units import Unit
from servewell.core.catalog.workload import HeldOut
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.data_contract import judge_data
from servewell.core.operations.data_shifts import drift_bound
from servewell.ports.data_measuring import DataQuestion

FLIGHTS = Path(__file__).parents[2] / "examples" / "flight-delays" / "data" / "flights.parquet"
NAMES = ("carrier", "dest", "dep_minute", "distance", "temp", "humid", "wind_speed", "pressure")
RAIN = "precip"
RULES = ContractRules()

Numbers = NDArray[np.float64]
counts = st.lists(st.integers(0, 2_000), min_size=2, max_size=20)


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    """The flights of January to July, with the month of each."""
    table = pq.read_table(FLIGHTS, columns=["scheduled", "late", RAIN, *NAMES])
    table = table.append_column("month", pc.month(table.column("scheduled")))
    return table.filter(pc.less_equal(table.column("month"), 7))


def month(table: pa.Table, *, before: int = 0, of: int = 0) -> pa.Table:
    """Return the rows before a month, or of one."""
    months = table.column("month")
    return table.filter(pc.less(months, before) if before else pc.equal(months, of))


def shift(before: pa.Table, now: pa.Table, name: str, *, hidden: bool = False) -> Shift:
    """Return how one column differs."""
    pair = Pair(before=before, now=now, against=Against.LAST, name="flights:1")
    names = frozenset({name}) if hidden else frozenset()
    return measure_shifts(pair, (name,), hidden=names).columns[0]


def changed(table: pa.Table, name: str, values: object) -> pa.Table:
    """Return rows with another column in place of one."""
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def numbers(table: pa.Table, name: str) -> Numbers:
    """Return a column as numbers."""
    found: Numbers = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False).copy()
    return found


@pytest.mark.parametrize("number", range(2, 8))
def test_no_season_fails(flights: pa.Table, number: int) -> None:
    """The weather moves from month to month, and no month fails against those before it."""
    pair = Pair(
        before=month(flights, before=number),
        now=month(flights, of=number),
        against=Against.LAST,
        name="flights:1",
    )
    for one in measure_shifts(pair, NAMES, hidden=frozenset()).columns:
        assert one.conversion is None
        assert one.psi < drift_bound(one, RULES), one


@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_a_day_of_heavy_rain_is_no_change_of_unit(flights: pa.Table, factor: float) -> None:
    """Ten times the rain is what the gauge may tell; tenths of what it tells are not."""
    before = month(flights, before=6).sort_by("scheduled")
    wet = month(flights, of=6).sort_by("scheduled")
    until = pc.less(wet.column("scheduled"), pa.scalar("2013-06-08").cast("timestamp[us]"))
    wet = wet.filter(until).slice(wet.filter(until).num_rows - 2_000)
    found = shift(before, changed(wet, RAIN, numbers(wet, RAIN) * factor), RAIN)
    assert found.psi > 1
    assert (found.conversion is not None) == (factor != 1)


@pytest.mark.parametrize("number", [2, 4, 7])
@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("temp", Unit("degrees Fahrenheit to Celsius", 5 / 9, -160 / 9)),
        ("distance", Unit("miles to kilometres", 1.609344)),
        ("wind_speed", Unit("miles an hour to metres a second", 0.44704)),
        ("pressure", Unit("millibars to inches of mercury", 0.02953)),
        ("dep_minute", Unit("minutes to hours, or seconds to minutes", 1 / 60)),
    ],
)
def test_a_change_of_unit_is_told(flights: pa.Table, number: int, column: str, unit: Unit) -> None:
    """Whatever the season, a column in another unit is named as that."""
    now = month(flights, of=number)
    values = numbers(now, column) * unit.factor + unit.offset
    found = shift(month(flights, before=number), changed(now, column, values), column).conversion
    assert found is not None
    assert (found.name, found.factor) == (unit.name, pytest.approx(unit.factor))


def test_a_feed_that_changes_half_way_is_told(flights: pa.Table) -> None:
    """Where only later rows are in another unit, it is named, with the share of the rows."""
    now = month(flights, of=7)
    values = numbers(now, "distance")
    values[len(values) // 2 :] *= 1.609344
    found = shift(month(flights, before=7), changed(now, "distance", np.round(values)), "distance")
    assert found.conversion is not None
    assert 0.3 < found.conversion.share < 0.6


def test_texts_never_seen_are_counted_and_named(flights: pa.Table) -> None:
    """A new airport is named; of a personal column only its share is."""
    now = month(flights, of=2)
    dest = now.column("dest").to_pylist()
    now = changed(
        now, "dest", ["XYZ" if place % 10 == 0 else one for place, one in enumerate(dest)]
    )
    found = shift(month(flights, before=2), now, "dest")
    assert (round(found.unseen, 3), found.unseen_texts) == (0.1, ("XYZ",))
    assert shift(month(flights, before=2), now, "dest", hidden=True).unseen_texts == ()


def test_a_sensor_that_stopped_is_told(flights: pa.Table) -> None:
    """One value in all new rows is told, unless most rows had it before."""
    before, now = month(flights, before=2), month(flights, of=2)
    still = np.full(now.num_rows, 39.02, dtype=np.float32)
    assert shift(before, changed(now, "temp", still), "temp").constant_now
    zero = pa.table({"precip": np.where(np.arange(1_000) % 10, 0.0, 0.1)})
    assert not shift(zero, pa.table({"precip": np.zeros(500)}), "precip").constant_now


def test_a_column_that_all_requests_lack_is_missing() -> None:
    """A column of nulls alone has no type of its own, and is compared all the same."""
    before = pa.table({"temp": np.arange(1_000.0)})
    found = shift(before, pa.table({"temp": pa.nulls(500)}), "temp")
    assert (found.kind_now, found.missing_now) == (found.kind_before, 1.0)


@settings(max_examples=50)
@given(before=counts, now=counts)
def test_chi_square_is_scipys(before: list[int], now: list[int]) -> None:
    """Where no bins have to be joined, the statistic is that of SciPy's table of two rows."""
    size = min(len(before), len(now))
    table = np.array([before[:size], now[:size]], dtype=np.float64) + 40
    expected = chi2_contingency(table, correction=False)
    if expected.expected_freq.min() >= 5:
        statistic, degrees = chi_square(table[0], table[1])
        assert degrees == expected.dof
        assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(before=counts, now=counts)
def test_the_index_is_never_below_zero(before: list[int], now: list[int]) -> None:
    """Whatever the counts, and whichever bins are empty, the index is a number of 0 or more."""
    size = min(len(before), len(now))
    found = psi(np.array(before[:size], dtype=float), np.array(now[:size], dtype=float))
    assert np.isfinite(found)
    assert found >= 0


def test_the_index_has_no_noise_of_its_own() -> None:
    """Rows of one and the same source have an index of about nothing, however few they are."""
    drawn = np.random.default_rng(0)
    found = [
        shift(pa.table({"x": drawn.normal(size=500)}), pa.table({"x": drawn.normal(size=300)}), "x")
        for _ in range(20)
    ]
    assert float(np.mean([one.psi for one in found])) < 0.02


ordered = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=4, max_size=60)


@settings(max_examples=50)
@given(rows=ordered)
def test_the_area_is_scikit_learns(rows: list[tuple[int, bool]]) -> None:
    """With ties as without, the area under the curve is scikit-learn's, whichever way it goes."""
    score = np.array([one for one, _ in rows], dtype=float)
    target = np.array([float(one) for _, one in rows])
    if len(set(target)) == 2:
        expected = float(roc_auc_score(target, score))
        assert area(score, target) == pytest.approx(max(expected, 1 - expected))


@settings(max_examples=50)
@given(values=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=60))
def test_the_rank_correlation_is_scipys(values: list[tuple[int, int]]) -> None:
    """With ties as without, the correlation is the size of SciPy's."""
    one, other = (np.array(part, dtype=float) for part in zip(*values, strict=True))
    if np.ptp(one) and np.ptp(other):
        assert correlation(one, other) == pytest.approx(abs(float(spearmanr(one, other)[0])))


def test_what_gives_the_label_away_is_found() -> None:
    """A copy of the label, a text of it, and a column that is there only with it, are found."""
    drawn = np.random.default_rng(1)
    label = drawn.random(4_000) < 0.2
    noise = drawn.normal(size=4_000)
    rows = pa.table(
        {
            "late": label,
            "delay": np.where(label, 20.0, 0.0) + drawn.random(4_000),
            "verdict": np.where(label, "late", "on time"),
            "refund": pa.array(np.where(label, noise, np.nan), from_pandas=True),
            "wind": noise + label,
            "id": [f"row {place}" for place in range(4_000)],
        }
    )
    found = {one.name: one for one in measure_leaks(rows, tuple(rows.column_names), "late")}
    assert min(found[name].value for name in ("delay", "verdict")) > 0.99
    assert found["refund"].missing > 0.99
    assert max(found[name].value for name in ("wind", "id")) < 0.9


def test_one_of_many_classes_may_be_told() -> None:
    """An input that tells one class of three is good, and no leak."""
    label = np.arange(900) % 3
    drawn = np.random.default_rng(2)
    rows = pa.table(
        {"kind": label, "size": np.where(label == 0, 9.0, 0.0) + drawn.normal(size=900)}
    )
    assert measure_leaks(rows, ("size",), "kind")[0].value < 0.9


rows_of_two = st.lists(
    st.tuples(st.one_of(st.none(), st.floats(allow_nan=False, width=32)), st.text(max_size=3)),
    max_size=50,
)


@settings(max_examples=50)
@given(rows=rows_of_two)
def test_copies_are_those_that_python_finds(rows: list[tuple[float | None, str]]) -> None:
    """Rows are copies exactly where all of their values are equal."""
    table = pa.table(
        {
            "number": pa.array([one for one, _ in rows], pa.float32()),
            "text": pa.array([one for _, one in rows], pa.string()),
        }
    )
    infinite = [None if one in (np.inf, -np.inf) else one for one, _ in rows]
    different = set(zip(infinite, (text for _, text in rows), strict=True))
    assert copies(row_digests(table, table.column_names)) == len(rows) - len(different)
    assert new_rows(table, table).num_rows == 0


def test_a_whole_file_is_measured_and_judged(flights: pa.Table, tmp_path: Path) -> None:
    """From two files to the rows of the report: the planted unit fails, and nothing else does."""
    inputs = tuple(
        Input(name=name, datatype=Datatype.BYTES if name in ("carrier", "dest") else Datatype.FP32)
        for name in NAMES
    )
    before = month(flights, before=7)
    july = month(flights, of=7)
    bad = np.round(numbers(july, "distance") * 1.609344).astype(np.int16)
    pq.write_table(before, tmp_path / "before.parquet")
    pq.write_table(
        pa.concat_tables([before, changed(july, "distance", bad)]), tmp_path / "now.parquet"
    )
    facts = measure_data(
        DataQuestion(
            data=tmp_path / "now.parquet",
            inputs=inputs,
            label="late",
            held_out=HeldOut(column="scheduled", start="2013-07-01"),
            before=tmp_path / "before.parquet",
            before_name="flights:1",
            requests={"distance": [float(one) for one in bad[:3_000]]},
        )
    )
    assert (facts.held_out, facts.shared) == (july.num_rows, 0)
    assert facts.shifts[0].rows_now == july.num_rows
    assert _failing(facts) == {"change of unit: distance"}


def _failing(facts: DataFacts) -> set[str]:
    rows = judge_data(facts, RULES)
    return {one.gate for one in rows if one.verdict is GateVerdict.FAIL and one.required}
