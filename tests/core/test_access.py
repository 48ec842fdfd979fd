"""Who may do what."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.key import ApiKey, Grant, Right, Role
from servewell.core.security.access import allows, grants_at, key_digest

KEY = ApiKey(
    id="id", digest="d", principal="p", role=Role.INVOKER, endpoints=("flights",), created_at=0.0
)
GRANT = Grant(id="id", digest="d", principal="p", role=Role.INVOKER, endpoints=("flights",))

names = st.sampled_from(["a", "b", "c"])
times = st.none() | st.floats(0, 100)


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.INVOKER, {Right.INVOKE, Right.READ, Right.FEEDBACK}),
        (Role.FEEDBACK, {Right.FEEDBACK}),
        (Role.READER, {Right.READ}),
        (Role.OPERATOR, {Right.INVOKE, Right.READ, Right.FEEDBACK, Right.OBSERVE}),
    ],
)
def test_a_role_has_its_rights_and_no_other(role: Role, rights: set[Right]) -> None:
    """The table of rights, written out once more by hand."""
    grant = replace(GRANT, role=role)
    assert {right for right in Right if allows(grant, right, "flights")} == rights


@given(st.sampled_from(Role), st.sampled_from(Right), st.lists(names), names)
def test_a_key_reaches_only_the_endpoints_it_names(
    role: Role, right: Right, named: list[str], endpoint: str
) -> None:
    """No role opens an endpoint that the key does not name."""
    grant = replace(GRANT, role=role, endpoints=tuple(named))
    if endpoint not in named:
        assert not allows(grant, right, endpoint)


@pytest.mark.parametrize(
    ("named", "endpoint", "allowed"),
    [
        (("*",), "flights", True),
        (("other", "*"), "flights", True),
        (("flights",), "flights", True),
        (("flights",), "flights-2", False),
        (("flights-2",), "flights", False),
        (("fl*",), "flights", False),
        ((), "flights", False),
    ],
)
def test_only_a_whole_name_or_the_star_reaches(
    named: tuple[str, ...], endpoint: str, *, allowed: bool
) -> None:
    """There are no patterns, and a part of a name is another name."""
    assert allows(replace(GRANT, endpoints=named), Right.INVOKE, endpoint) is allowed


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "granted"),
    [
        pytest.param(None, None, True, id="for-ever"),
        pytest.param(10.1, None, True, id="not-yet"),
        pytest.param(10.0, None, False, id="at-the-moment"),
        pytest.param(9.9, None, False, id="past"),
        pytest.param(None, 9.0, False, id="revoked"),
        pytest.param(None, 11.0, False, id="revocation-does-not-wait"),
        pytest.param(10.1, 9.0, False, id="revoked-before-it-expired"),
    ],
)
def test_a_key_is_granted_until_it_ends(
    expires_at: float | None, revoked_at: float | None, *, granted: bool
) -> None:
    """Each rule at its boundary, at second 10."""
    key = replace(KEY, expires_at=expires_at, revoked_at=revoked_at)
    assert bool(grants_at((key,), 10.0)) is granted


@given(st.lists(st.tuples(times, times)), st.floats(0, 100))
def test_no_ended_key_is_ever_granted(
    ends: list[tuple[float | None, float | None]], now: float
) -> None:
    """Grants keep the order of the keys and carry what a worker needs, of the live keys alone."""
    keys = tuple(
        replace(KEY, id=str(place), expires_at=expires_at, revoked_at=revoked_at)
        for place, (expires_at, revoked_at) in enumerate(ends)
    )
    live = [
        key
        for key in keys
        if key.revoked_at is None and not (key.expires_at is not None and key.expires_at <= now)
    ]
    granted = grants_at(keys, now)
    assert [(one.id, one.expires_at) for one in granted] == [
        (one.id, one.expires_at) for one in live
    ]
    assert all(replace(one, id="id", expires_at=None) == GRANT for one in granted)


def test_the_digest_is_the_published_construction() -> None:
    """HMAC-SHA-256. Source: RFC 4231, test case 2."""
    digest = key_digest("what do ya want for nothing?", b"Jefe")
    assert digest == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@given(st.text(alphabet="0aZ_", min_size=1), st.binary(min_size=1, max_size=64), st.data())
def test_another_key_or_another_pepper_is_another_digest(
    key: str, pepper: bytes, data: st.DataObject
) -> None:
    """A digest holds for one key in one home, and does not show the key."""
    digest = key_digest(key, pepper)
    other = data.draw(st.text(alphabet="0aZ_", min_size=1).filter(lambda text: text != key))
    assert digest == key_digest(key, pepper)
    assert digest != key_digest(other, pepper)
    assert digest != key_digest(key, b"\1" + pepper)
