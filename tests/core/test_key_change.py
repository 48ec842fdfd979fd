"""Decisions on keys: made, rotated, revoked."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.key import ApiKey, Role
from servewell.core.catalog.limits import Limits, Priority
from servewell.core.security.access import grants_at
from servewell.core.security.key_change import (
    KeyRequest,
    KeyRetiredError,
    decide_create,
    decide_revoke,
    decide_rotate,
)

KEY = ApiKey(
    id="old",
    digest="d",
    principal="site",
    role=Role.INVOKER,
    endpoints=("flights",),
    created_at=1_000.0,
)


def test_a_lifetime_becomes_an_end() -> None:
    """A key with a lifetime ends that long after it was made; one without never does."""
    request = KeyRequest(principal="site", lifetime_s=60.0)
    made = decide_create(request, key_id="a", digest="d", now=1_000.0).keys[0]
    assert made.expires_at == 1_060.0
    endless = decide_create(replace(request, lifetime_s=None), key_id="a", digest="d", now=1_000.0)
    assert endless.keys[0].expires_at is None


def test_a_key_carries_its_limits_into_every_grant() -> None:
    """What is asked for when a key is made holds for it, and for the one that replaces it."""
    limits = Limits(requests_per_s=5.0, rows_per_day=1_000)
    request = KeyRequest(principal="site", priority=Priority.LOW, limits=limits)
    made = decide_create(request, key_id="a", digest="d", now=1_000.0).keys[0]
    keys = decide_rotate(made, key_id="b", digest="e", now=1_001.0, overlap_s=60.0).keys
    grants = grants_at(keys, 1_002.0)
    assert [(one.priority, one.limits) for one in grants] == [(Priority.LOW, limits)] * 2


@given(
    st.one_of(st.none(), st.floats(2_000.0, 1e9)), st.floats(0.0, 1e6), st.floats(1_000.0, 1_999.0)
)
def test_an_overlap_never_prolongs(expires_at: float | None, overlap: float, now: float) -> None:
    """The old key ends after the overlap or when it was to end, whichever comes first."""
    old = replace(KEY, expires_at=expires_at)
    retiring, new = decide_rotate(old, key_id="new", digest="e", now=now, overlap_s=overlap).keys
    assert retiring.expires_at is not None
    assert retiring.expires_at <= now + overlap
    assert expires_at is None or retiring.expires_at <= expires_at
    assert (new.principal, new.role, new.endpoints) == (old.principal, old.role, old.endpoints)
    assert (new.expires_at is None) == (expires_at is None)


@pytest.mark.parametrize(
    "ended", [replace(KEY, revoked_at=1_500.0), replace(KEY, expires_at=1_500.0)]
)
def test_an_ended_key_does_not_come_back(ended: ApiKey) -> None:
    """Neither rotation nor revocation touches a key that has ended."""
    with pytest.raises(KeyRetiredError):
        decide_revoke(ended, now=2_000.0)
    with pytest.raises(KeyRetiredError):
        decide_rotate(ended, key_id="new", digest="e", now=2_000.0, overlap_s=1.0)


@given(st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.floats(0, 4_000))), max_size=8))
def test_only_good_keys_are_granted(states: list[tuple[bool, float | None]]) -> None:
    """No revoked and no expired key ever reaches a worker; every other one does."""
    keys = tuple(
        replace(KEY, id=str(i), revoked_at=1.0 if revoked else None, expires_at=expires_at)
        for i, (revoked, expires_at) in enumerate(states)
    )
    granted = {grant.id for grant in grants_at(keys, 2_000.0)}
    good = {
        key.id
        for key in keys
        if key.revoked_at is None and (key.expires_at is None or key.expires_at > 2_000.0)
    }
    assert granted == good


def test_a_replaced_key_is_not_replaced_again() -> None:
    """Its successor may be, and owes nothing to the shortened end of the first."""
    retiring, new = decide_rotate(KEY, key_id="b", digest="e", now=2_000.0, overlap_s=60.0).keys
    with pytest.raises(KeyRetiredError, match="replaced by `b`"):
        decide_rotate(retiring, key_id="c", digest="f", now=2_001.0, overlap_s=60.0)
    newer = decide_rotate(new, key_id="c", digest="f", now=2_001.0, overlap_s=60.0).keys[1]
    assert (newer.expires_at, newer.replaced_by) == (None, None)
