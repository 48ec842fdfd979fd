"""The contract of `Keys`."""

from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import SqlHistory
from servewell.adapters.embedded.keys import SqlKeys
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.key import ApiKey, Role
from servewell.ports.keys import KeyMissingError, Keys
from servewell.ports.state import StateConflictError

CHANGE = Change(
    at=5.5, principal="ada", kind=ChangeKind.KEY_CREATED, subject="id1", because="asked for"
)
KEY = ApiKey(
    id="id1",
    digest="a" * 64,
    principal="ada@example.org",
    role=Role.INVOKER,
    endpoints=("flights", "*"),
    created_at=1.25,
)


@pytest.fixture(params=[pytest.param(SqlKeys, id="sql")])
def keys(request: pytest.FixtureRequest, database: Database) -> Keys:
    """Each adapter in turn."""
    made: Keys = request.param(database)
    return made


@pytest.fixture
def history(database: Database) -> SqlHistory:
    """Return the history of the same state."""
    return SqlHistory(database)


def test_a_key_reads_back_as_it_was_saved(keys: Keys, history: SqlHistory) -> None:
    """New and changed, each time with its change."""
    rotated = replace(KEY, expires_at=9.5, replaced_by="id2")
    revoked = replace(rotated, revoked_at=7.75)
    for key in (KEY, rotated, revoked):
        keys.save((key,), CHANGE)
        assert keys.get("id1") == key
    assert keys.list() == (revoked,)
    assert [one.revision for one in history.changes("id1")] == [1, 2, 3]


def test_several_keys_are_one_change(keys: Keys, history: SqlHistory) -> None:
    """A rotation keeps the old key and the new one together."""
    new = replace(KEY, id="id2", created_at=2.0)
    keys.save((new, replace(KEY, replaced_by="id2")), CHANGE)
    assert [one.id for one in keys.list()] == ["id1", "id2"]
    assert history.revision() == 1


def test_a_revoked_key_stays_revoked(keys: Keys, history: SqlHistory) -> None:
    """The refused save changes nothing, neither another key nor the history."""
    revoked = replace(KEY, revoked_at=3.0)
    keys.save((revoked,), CHANGE)
    with pytest.raises(StateConflictError, match="revoked") as caught:
        keys.save((replace(KEY, id="id2"), KEY), CHANGE)
    assert "servewell keys create" in caught.value.fix
    assert keys.list() == (revoked,)
    assert history.revision() == 1


def test_lists_the_oldest_first(keys: Keys) -> None:
    """By the time of their making."""
    made = tuple(replace(KEY, id=f"id{at}", created_at=float(at)) for at in (3, 1, 2))
    keys.save(made, CHANGE)
    assert [one.id for one in keys.list()] == ["id1", "id2", "id3"]


def test_a_missing_key_is_named(keys: Keys) -> None:
    """The error says which, and how to see what there is."""
    with pytest.raises(KeyMissingError, match="nowhere") as caught:
        keys.get("nowhere")
    assert "servewell keys list" in caught.value.fix
