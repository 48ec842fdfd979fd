"""The contract of `Datasets`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.datasets import SqlDatasets
from servewell.adapters.embedded.history import SqlHistory
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.data_facts import ValueKind
from servewell.core.catalog.dataset import (
    Column,
    ColumnStatistics,
    DatasetPolicy,
    DatasetVersion,
)
from servewell.ports.datasets import DatasetMissingError, Datasets

FLIGHTS = DatasetVersion(
    name="flights",
    number=0,
    digest="a" * 64,
    rows=3_000_000_000,
    size_bytes=1 << 40,
    columns=(
        Column(name="délai", type="double", missing=7),
        Column(name="", type="timestamp[us]", missing=0),
    ),
    source="/data/flights.parquet",
    created_at=1_763_800_000.123456,
)


@pytest.fixture(params=[pytest.param(SqlDatasets, id="sql")])
def datasets(request: pytest.FixtureRequest, database: Database) -> Datasets:
    """Each adapter in turn."""
    made: Datasets = request.param(database)
    return made


def test_a_version_reads_back_as_it_was_kept(datasets: Datasets) -> None:
    """Nothing of a version is lost or rounded."""
    kept = datasets.add(FLIGHTS)
    assert kept == replace(FLIGHTS, number=1)
    assert datasets.list() == (kept,)


def test_the_same_content_is_the_same_version(datasets: Datasets) -> None:
    """Seen again, from wherever and whenever, it is the first version."""
    first = datasets.add(FLIGHTS)
    assert datasets.add(replace(FLIGHTS, source="elsewhere", created_at=2.0)) == first
    assert datasets.list("flights") == (first,)


def test_numbers_are_per_name(datasets: Datasets) -> None:
    """Each name counts from 1, also where two names have the same content."""
    names = ["flights", "weather", "flights", "weather"]
    added = [
        datasets.add(replace(FLIGHTS, name=name, digest=str(place), created_at=float(place)))
        for place, name in enumerate(names)
    ]
    assert [one.number for one in added] == [1, 1, 2, 2]
    assert datasets.list() == tuple(added)
    assert datasets.list("weather") == (added[1], added[3])
    assert datasets.list("nothing") == ()


def test_text_that_no_database_keeps_is_marked(datasets: Datasets) -> None:
    """A file name that is no proper text does not stop the run."""
    kept = datasets.add(replace(FLIGHTS, source="nul \0 and half \udcff"))
    assert datasets.list()[0].source == "nul \ufffd and half ?"
    assert kept.number == 1


def test_adding_at_once_leaves_no_gap(datasets: Datasets) -> None:
    """Whoever adds at the same time, numbers are 1, 2, 3 … and each is given once."""
    digests = [str(one % 12) for one in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda digest: datasets.add(replace(FLIGHTS, digest=digest)), digests))
    kept = datasets.list("flights")
    assert [one.number for one in kept] == list(range(1, 13))
    assert {one.digest for one in kept} == set(digests)


def test_a_version_without_rows_keeps_its_number(datasets: Datasets) -> None:
    """What is said of removed rows stays, their number is never given again, and history tells."""
    first = datasets.add(FLIGHTS)
    gone = replace(first, removed_at=5.0, removed_because="its time was over")
    datasets.remove(gone, change("removed"))
    assert datasets.list() == (gone,)
    assert datasets.get("flights", 1) == gone
    with pytest.raises(DatasetMissingError):
        datasets.get("flights")
    assert datasets.add(replace(FLIGHTS, digest="b" * 64)).number == 2


def test_the_same_rows_come_back_under_their_number(datasets: Datasets) -> None:
    """Rows that were removed and are added again are the version that they were."""
    first = datasets.add(FLIGHTS)
    datasets.remove(replace(first, removed_at=5.0, removed_because="old"), change("removed"))
    back = datasets.add(replace(FLIGHTS, created_at=9.0))
    assert back == replace(first, created_at=9.0)
    assert datasets.get("flights") == back


def test_statistics_read_back(datasets: Datasets) -> None:
    """What was measured of a version is kept with it."""
    statistics = ColumnStatistics(
        name="délai",
        kind=ValueKind.NUMBER,
        missing=7,
        distinct=3,
        mean=0.5,
        quantiles=(0.0, 0.25, 1.0),
        histogram=(1, 2, 3),
        top=(("a", 2),),
    )
    assert datasets.add(replace(FLIGHTS, statistics=(statistics,))).statistics == (statistics,)
    assert datasets.get("flights", 1).statistics == (statistics,)


def test_a_policy_replaces_the_one_before(datasets: Datasets, database: Database) -> None:
    """A dataset has one policy or none, and each change of it stands in the history."""
    assert datasets.policies() == {}
    datasets.set_policy(DatasetPolicy(name="flights", owner="ann"), change("made"))
    policy = DatasetPolicy(
        name="flights", owner="bob", readers=("ann",), retention_days=30, personal=("name",)
    )
    datasets.set_policy(policy, change("given to bob"))
    assert datasets.policies() == {"flights": policy}
    assert [one.because for one in SqlHistory(database).changes("flights")] == [
        "made",
        "given to bob",
    ]


def test_what_is_not_there_is_said(datasets: Datasets) -> None:
    """Neither a name nor a number that was never kept is made up."""
    datasets.add(FLIGHTS)
    for name, number in (("weather", None), ("flights", 2)):
        with pytest.raises(DatasetMissingError):
            datasets.get(name, number)
    with pytest.raises(DatasetMissingError):
        datasets.remove(replace(FLIGHTS, number=2), change("removed"))


def change(because: str) -> Change:
    """Return a line of history about the dataset."""
    return Change(
        at=1.0, principal="ann", kind=ChangeKind.DATASET, subject="flights", because=because
    )
