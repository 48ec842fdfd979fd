"""The contract of `Registry`."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.registry import SqlRegistry
from servewell.core.catalog.model import Equivalence, Format, Lineage, Manifest, ModelVersion
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.ports.registry import ModelMissingError, Registry

SIGNATURE = Signature(
    inputs=(
        Input(name="distance", datatype=Datatype.FP64, nullable=True, minimum=0.0, example=1.5),
        Input(name="carrier", datatype=Datatype.BYTES, categories=("AA", "ÜA", ""), example="AA"),
    ),
    outputs=(
        Output(name="probability", datatype=Datatype.FP32, row_shape=(2,), classes=("no", "yes")),
    ),
)
LINEAGE = Lineage(
    run="r1",
    format=Format.SKLEARN,
    source="train.py",
    source_digest="b" * 64,
    dataset="flights:1",
    dataset_digest="c" * 64,
    commit=None,
    dirty=True,
    environment_digest="d" * 64,
    parameters={"depth": 3, "rate": 0.1, "big": 2**70, "on": True, "none": None, "name": "x"},
)
MANIFEST = Manifest(
    model="flight-delay",
    artifact="e" * 64,
    artifact_bytes=1 << 33,
    signature=SIGNATURE,
    lineage=LINEAGE,
    equivalence=Equivalence(rows=100, largest_difference=1e-7, tolerance=1e-4),
    metrics={"auc": 0.75, "whole": 1.0},
    files={"lock": "f" * 64},
)
VERSION = ModelVersion(
    model="flight-delay",
    number=0,
    package="0" * 64,
    package_signature="c2lnbmF0dXJl",
    manifest=MANIFEST,
    created_at=1_763_800_000.5,
    created_by="ada",
)


@pytest.fixture(params=[pytest.param(SqlRegistry, id="sql")])
def registry(request: pytest.FixtureRequest, database: Database) -> Registry:
    """Each adapter in turn."""
    made: Registry = request.param(database)
    return made


def test_a_version_reads_back_as_it_was_kept(registry: Registry) -> None:
    """Nothing of a version is lost, rounded or turned into another type."""
    kept = registry.add(VERSION)
    assert kept == replace(VERSION, number=1)
    assert registry.get("flight-delay") == registry.get("flight-delay", 1) == kept
    assert repr(registry.get("flight-delay")) == repr(kept)


def test_a_metric_that_is_no_number_is_kept(registry: Registry) -> None:
    """One odd metric makes no version unreadable."""
    odd = replace(MANIFEST, metrics={"loss": math.nan, "bound": math.inf})
    registry.add(replace(VERSION, manifest=odd))
    metrics = registry.get("flight-delay").manifest.metrics
    assert math.isnan(metrics["loss"])
    assert metrics["bound"] == math.inf


def test_the_same_package_is_the_same_version(registry: Registry) -> None:
    """Registered again, by whomever, it is the first version, unchanged."""
    first = registry.add(VERSION)
    assert registry.add(replace(VERSION, created_by="bob", created_at=9e9)) == first
    assert registry.list() == (first,)


def test_the_newest_is_the_one_meant(registry: Registry) -> None:
    """Without a number, the largest number; lists are oldest first; models do not mix."""
    packages = [("m", "a"), ("n", "b"), ("m", "c")]
    added = [
        registry.add(replace(VERSION, model=model, package=package, created_at=float(place)))
        for place, (model, package) in enumerate(packages)
    ]
    assert [one.name for one in added] == ["m:1", "n:1", "m:2"]
    assert registry.get("m") == added[2]
    assert registry.get("m", 1) == added[0]
    assert registry.list() == tuple(added)
    assert registry.list("m") == (added[0], added[2])


@pytest.mark.parametrize(("model", "number"), [("none", None), ("none", 1), ("m", 2), ("m", 0)])
def test_a_missing_version_is_named(registry: Registry, model: str, number: int | None) -> None:
    """The error says which, and how to see what there is."""
    registry.add(replace(VERSION, model="m"))
    with pytest.raises(ModelMissingError, match=model) as caught:
        registry.get(model, number)
    assert "servewell models list" in caught.value.fix


def test_a_name_that_is_no_text_is_just_missing(registry: Registry) -> None:
    """What a terminal passes on from a broken encoding is answered, not crashed on."""
    with pytest.raises(ModelMissingError):
        registry.get("\udcff\0")


def test_adding_at_once_leaves_no_gap(registry: Registry) -> None:
    """Whoever adds at the same time, numbers are 1, 2, 3 … and each is given once."""
    packages = [str(one % 12) for one in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda package: registry.add(replace(VERSION, package=package)), packages))
    kept = registry.list("flight-delay")
    assert [one.number for one in kept] == list(range(1, 13))
    assert {one.package for one in kept} == set(packages)
