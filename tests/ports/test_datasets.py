"""The contract of `Datasets`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.datasets import SqlDatasets
from servewell.core.catalog.dataset import Column, DatasetVersion
from servewell.ports.datasets import Datasets

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
