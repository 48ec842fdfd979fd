"""The format of API keys."""

from hypothesis import example, given
from hypothesis import strategies as st

from servewell.core.security.api_key import ALPHABET, KEY_LENGTH, format_key, key_id

ids = st.binary(min_size=8, max_size=8)
secrets = st.binary(min_size=32, max_size=32)
keys = st.builds(
    lambda public, rest: format_key(id_entropy=public, secret_entropy=rest), ids, secrets
)
places = st.integers(0, KEY_LENGTH - 1)


@given(keys)
@example(format_key(id_entropy=bytes(8), secret_entropy=bytes(32)))
@example(format_key(id_entropy=b"\xff" * 8, secret_entropy=b"\xff" * 32))
def test_a_key_is_known_by_its_id(key: str) -> None:
    """Every key that is made is accepted, has one length, and needs no quoting anywhere."""
    assert len(key) == KEY_LENGTH
    assert set(key) <= {*ALPHABET, "_"}
    assert key_id(key) == key[3:14]


@given(keys, places, st.characters())
def test_any_one_changed_character_is_caught(key: str, place: int, wrong: str) -> None:
    """The checksum refuses a mistyped key without asking a store."""
    changed = key[:place] + wrong + key[place + 1 :]
    assert changed == key or key_id(changed) is None


@given(keys, places.filter(bool))
def test_two_swapped_characters_are_caught(key: str, place: int) -> None:
    """So is the other common slip of a typist."""
    changed = key[: place - 1] + key[place] + key[place - 1] + key[place + 1 :]
    assert changed == key or key_id(changed) is None


@given(keys, places, st.text(max_size=3))
def test_a_cut_or_padded_key_is_no_key(key: str, place: int, more: str) -> None:
    """A key copied in part, or with something around it, is refused."""
    assert key_id(key[:place]) is None
    assert key_id(key[place + 1 :]) is None
    if more:
        assert key_id(key + more) is None
        assert key_id(more + key) is None


@given(st.text(max_size=100))
def test_any_text_may_be_asked(text: str) -> None:
    """What a caller sends is refused, never an exception."""
    assert key_id(text) is None


@given(st.tuples(ids, secrets), st.tuples(ids, secrets))
def test_different_entropy_makes_different_keys(
    one: tuple[bytes, bytes], other: tuple[bytes, bytes]
) -> None:
    """No randomness is lost on the way into the text."""
    first = format_key(id_entropy=one[0], secret_entropy=one[1])
    second = format_key(id_entropy=other[0], secret_entropy=other[1])
    assert (first == second) == (one == other)
    assert (key_id(first) == key_id(second)) == (one[0] == other[0])
