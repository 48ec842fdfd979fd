"""The contract of `ReferenceDamages`: the same tests for every adapter."""

import pytest

from servewell.adapters.embedded.clock import SystemClock
from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.monitoring.profiles import SqlProfiles
from servewell.adapters.embedded.monitoring.reference_damages import SqlReferenceDamages
from servewell.core.catalog.profile import ReferenceProfile


@pytest.fixture(params=[pytest.param(SqlReferenceDamages, id="sql")])
def damages(request: pytest.FixtureRequest, database: Database) -> SqlReferenceDamages:
    """Each adapter in turn."""
    made: SqlReferenceDamages = request.param(database)
    return made


def test_a_damage_is_noted_until_a_reference_is_kept(
    damages: SqlReferenceDamages, database: Database
) -> None:
    """Once, and for its package alone."""
    assert damages.noted() == {}
    assert damages.note("a" * 64, "its bytes are gone")
    assert not damages.note("a" * 64, "its bytes are gone")
    assert damages.note("b" * 64, "another")
    kept = ReferenceProfile(package="a" * 64, version="late:1", source="rows", bins=())
    SqlProfiles(database, SystemClock()).keep_reference(kept)
    assert damages.noted() == {"b" * 64: "another"}
