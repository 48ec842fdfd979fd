"""A platform in a fresh home, and versions to release on it."""

from pathlib import Path

import pytest

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.model import (
    Equivalence,
    Format,
    Lineage,
    Manifest,
    ModelVersion,
    digest_of,
)
from servewell.core.catalog.signature import Signature
from servewell.flows.platform import Platform
from servewell.wiring import open_platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Return a platform with nothing in it and nothing running."""
    return open_platform(tmp_path / "home")


@pytest.fixture
def endpoint(platform: Platform) -> Endpoint:
    """Return an endpoint without a deployment, and three versions of its model in the registry."""
    for number in (1, 2, 3):
        platform.registry.add(version(number))
    change = Change(
        at=0.0,
        principal="somebody",
        kind=ChangeKind.ENDPOINT_CREATED,
        subject="flights",
        because="a test",
    )
    return platform.endpoints.save(Endpoint(name="flights", workload="flights"), change)


def version(number: int) -> ModelVersion:
    """Return a version that can be told from the others."""
    manifest = Manifest(
        model="flights",
        artifact=digest_of(str(number).encode()),
        artifact_bytes=1,
        signature=Signature(inputs=(), outputs=()),
        lineage=Lineage(
            run="run",
            format=Format.ONNX,
            source="model.onnx",
            source_digest="",
            dataset=None,
            dataset_digest=None,
            commit=None,
            dirty=False,
            environment_digest="",
        ),
        equivalence=Equivalence(rows=0, largest_difference=0.0, tolerance=0.0),
    )
    return ModelVersion(
        model="flights",
        number=0,
        package=digest_of(f"package {number}".encode()),
        package_signature="",
        manifest=manifest,
        created_at=0.0,
        created_by="somebody",
    )
