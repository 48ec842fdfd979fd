"""The contract of `History`."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database, open_database
from servewell.adapters.embedded.endpoints import SqlEndpoints
from servewell.adapters.embedded.history import SqlHistory, keep_change
from servewell.core.catalog.change import Change, ChangeKind
from servewell.ports.history import History
from servewell.ports.state import StateUnavailableError

CHANGE = Change(
    at=5.5,
    principal="ada",
    kind=ChangeKind.TRAFFIC_SET,
    subject="flights",
    because="“10 % for v2”",
    traffic={"v1": 9_000, "v2": 1_000},
    versions={"v1": "m:1", "v2": "m:2"},
)


@pytest.fixture(params=[pytest.param(SqlHistory, id="sql")])
def history(request: pytest.FixtureRequest, database: Database) -> History:
    """Each adapter in turn."""
    made: History = request.param(database)
    return made


def keep(database: Database, *changes: Change) -> None:
    """Keep changes as the adapters do that have something to change."""
    with database.writing() as connection:
        for change in changes:
            keep_change(connection, change)


def test_a_change_may_stand_alone(history: History) -> None:
    """One that leaves no trace in the state is numbered like all others."""
    scaled = replace(CHANGE, kind=ChangeKind.SCALED, subject="workers", traffic=None, versions={})
    assert [history.keep(CHANGE), history.keep(scaled)] == [1, 2]
    assert history.revision() == 2
    assert history.changes("workers") == (replace(scaled, revision=2),)


def test_nothing_ever_changed(history: History) -> None:
    """A new home is at revision 0."""
    assert history.changes() == ()
    assert history.revision() == 0


def test_a_change_reads_back_as_it_was_kept(history: History, database: Database) -> None:
    """Nothing of it is lost; no traffic, and traffic to nobody, are told apart."""
    for traffic in (CHANGE.traffic, None, {}):
        keep(database, replace(CHANGE, traffic=traffic))
    assert [one.traffic for one in history.changes()] == [CHANGE.traffic, None, {}]
    assert history.changes()[0] == replace(CHANGE, revision=1)
    assert history.revision() == 3


def test_reads_of_one_subject_and_up_to_a_time(history: History, database: Database) -> None:
    """The bound is part of what is read, and the order is that of the changes."""
    at = [("a", 1.0), ("b", 2.0), ("a", 3.0), ("a", 2.5)]
    keep(database, *(replace(CHANGE, subject=subject, at=when) for subject, when in at))
    assert [one.revision for one in history.changes("a")] == [1, 3, 4]
    assert [one.revision for one in history.changes(until=2.5)] == [1, 2, 4]
    assert [one.revision for one in history.changes("a", until=0.5)] == []
    assert [one.revision for one in history.changes(since=2.0, until=2.5)] == [2, 4]


def test_reads_of_some_kinds_alone(history: History, database: Database) -> None:
    """Whoever asks for changes of the traffic reads no alerts; of no kind there is none."""
    kinds = (ChangeKind.DEPLOYED, ChangeKind.ALERT, ChangeKind.ROLLED_BACK)
    keep(database, *(replace(CHANGE, kind=one) for one in kinds))
    wanted = {ChangeKind.ROLLED_BACK, ChangeKind.DEPLOYED}
    assert [one.revision for one in history.changes("flights", kinds=wanted)] == [1, 3]
    assert history.changes(kinds=()) == ()


def test_its_token_tells_that_anything_was_kept(
    history: History, database: Database, state_url: str
) -> None:
    """By anybody, and whatever it was; where that costs too much it always does."""
    before = history.token()
    assert (history.token() == before) == state_url.startswith("sqlite")
    another = open_database(state_url)
    keep(another, CHANGE)
    another.close()
    after = history.token()
    assert after != before
    keep(database, CHANGE)
    assert history.token() != after


@pytest.mark.parametrize(
    "tampering", ["UPDATE change SET because = 'nothing'", "DELETE FROM change"]
)
def test_no_change_is_altered_or_removed(
    history: History, database: Database, tampering: str
) -> None:
    """The database itself refuses, whoever asks."""
    keep(database, CHANGE)
    with (
        pytest.raises(StateUnavailableError, match="append-only"),
        database.writing() as connection,
    ):
        connection.execute(sa.text(tampering))
    assert history.changes() == (replace(CHANGE, revision=1),)


SAVE_FOR_EVER = """
import os
from servewell.adapters.embedded.database import open_database
from servewell.adapters.embedded.endpoints import SqlEndpoints
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Endpoint
endpoints = SqlEndpoints(open_database(os.environ["STATE_URL"]))
name = f"e{os.getpid()}"
change = Change(at=1.0, principal="p", kind=ChangeKind.DEPLOYED, subject=name, because="b")
endpoint = Endpoint(name=name, workload="w")
while True:
    endpoint = endpoints.save(endpoint, change)
    print(endpoint.revision, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(
    history: History, database: Database, state_url: str
) -> None:
    """Two processes write, and are killed in the middle: no gap, nothing lost, nothing halved."""
    command = [sys.executable, "-c", SAVE_FOR_EVER]
    environment = {**os.environ, "STATE_URL": state_url}
    writers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    acknowledged: list[int] = []
    for writer in writers:
        with writer:
            assert writer.stdout is not None
            acknowledged += [int(writer.stdout.readline()) for _ in range(20)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in writer.stdout]
    changes = history.changes()
    assert [one.revision for one in changes] == list(range(1, len(changes) + 1))
    assert set(acknowledged) <= {one.revision for one in changes}
    assert len(set(acknowledged)) == len(acknowledged)
    newest = {one.subject: one.revision for one in changes}
    assert {one.name: one.revision for one in SqlEndpoints(database).list()} == newest
