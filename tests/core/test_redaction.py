"""What is kept of a personal value."""

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.security.redaction import TOKEN_LENGTH, token

KEY = bytes(range(32))

keys = st.binary(min_size=32, max_size=32)
words = st.text(st.characters(exclude_categories=["Cs"]))
values = words | st.integers() | st.floats() | st.booleans() | st.binary()


@given(values, keys)
def test_a_value_has_one_token_under_one_key(value: object, key: bytes) -> None:
    """Records can be counted and joined by it."""
    made = token(value, key)
    assert made == token(value, key)
    assert made is not None
    assert len(made) == TOKEN_LENGTH
    assert set(made) <= set("0123456789abcdef")


@given(words, words, keys)
def test_different_texts_have_different_tokens(one: str, other: str, key: bytes) -> None:
    """Two people are never counted as one."""
    assert (token(one, key) == token(other, key)) == (one == other)


@given(values, keys, keys)
def test_another_key_gives_another_token(value: object, one: bytes, other: bytes) -> None:
    """Without the key of this home no dictionary of values helps."""
    assert (token(value, one) == token(value, other)) == (one == other)


@given(keys)
def test_a_missing_value_stays_missing(key: bytes) -> None:
    """That nothing was sent says nothing of a person, and drift must still see it."""
    assert token(None, key) is None
    assert token("", key) is not None


def test_the_token_is_the_published_construction() -> None:
    """The first half of HMAC-SHA-256. Source: RFC 4231, test case 2."""
    assert token("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60754e6a042426089575c7"
