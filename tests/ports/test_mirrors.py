"""The contract of `Mirrors`."""

from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.mirrors import SqlMirrors
from servewell.core.catalog.tracked import Tracked
from servewell.ports.mirrors import Mirrors

SENT = Tracked(run="r1", url="http://one", digest="a", mlflow_run="m1", at=1.5)


@pytest.fixture(params=[pytest.param(SqlMirrors, id="sql")])
def mirrors(request: pytest.FixtureRequest, database: Database) -> Mirrors:
    """Each adapter in turn."""
    made: Mirrors = request.param(database)
    return made


def test_a_server_has_the_last_copy_of_each_run(mirrors: Mirrors) -> None:
    """What is kept again replaces what was; another server has its own."""
    newer = replace(SENT, digest="b", mlflow_version="1")
    elsewhere = replace(SENT, url="http://two")
    for one in (SENT, newer, elsewhere):
        mirrors.keep(one)
    assert mirrors.list("http://one") == (newer,)
    assert mirrors.list("http://two") == (elsewhere,)
    assert mirrors.list("http://three") == ()
