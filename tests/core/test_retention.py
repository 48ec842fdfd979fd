"""Which parts of the prediction log go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.operations.retention import (
    Decision,
    Facts,
    Part,
    Retention,
    RetentionError,
    decide,
)

HOUR = 3_600.0
DAY = 24 * HOUR
NOW = 1_000 * DAY


def part(name: str, *, age_s: float, size: int = 10) -> Part:
    """A part whose youngest record is so old."""
    return Part(name=name, ends_at=NOW - age_s, bytes=size)


def decided(*parts: Part, keep_s: float = DAY, bytes_max: int = 1_000, held: int = 0) -> Decision:
    """The decision on these parts."""
    facts = Facts(now=NOW, parts=parts, bytes_held=held)
    return decide(Retention(keep_s=keep_s, bytes_max=bytes_max), facts)


sizes = st.integers(0, 1_000)
parts_of_a_log = st.lists(
    st.builds(
        Part,
        name=st.text(max_size=4),
        ends_at=st.floats(NOW - 3 * DAY, NOW + HOUR),
        bytes=sizes,
    ),
    unique_by=lambda one: one.name,
    max_size=20,
).map(tuple)


def test_keeps_what_is_young_and_fits() -> None:
    """Nothing goes without a reason, and the sentence says so."""
    decision = decided(part("a", age_s=HOUR), part("b", age_s=2 * HOUR))
    assert decision.remove == ()
    assert decision.because == "everything is within its time and the log fits"


@pytest.mark.parametrize(("age_s", "goes"), [(DAY, True), (DAY - 1, False), (DAY + 1, True)])
def test_removes_what_is_past_its_time(age_s: float, *, goes: bool) -> None:
    """A part goes when its youngest record has been kept as long as asked, not before."""
    assert decided(part("a", age_s=age_s)).remove == (("a",) if goes else ())


def test_makes_room_with_the_oldest_first() -> None:
    """Only as many of the oldest go as the log needs to fit."""
    parts = [part(f"{hour}", age_s=hour * HOUR, size=100) for hour in range(5)]
    decision = decided(*parts, bytes_max=250)
    assert decision.remove == ("4", "3", "2")
    assert "500 bytes were kept and 250 are allowed" in decision.because


def test_fits_exactly() -> None:
    """A log of just the allowed size keeps all of it."""
    assert decided(part("a", age_s=0, size=100), bytes_max=100).remove == ()
    assert decided(part("a", age_s=0, size=100), bytes_max=99).remove == ("a",)


def test_what_is_held_pushes_out_the_rest() -> None:
    """Segments that may not be removed count, even when the log cannot fit then."""
    parts = (part("new", age_s=0), part("old", age_s=HOUR))
    assert decided(*parts, bytes_max=100, held=85).remove == ("old",)
    assert decided(*parts, bytes_max=100, held=200).remove == ("old", "new")


def test_names_both_reasons() -> None:
    """The sentence counts what went for its age and what went for its size."""
    decision = decided(part("a", age_s=2 * DAY), part("b", age_s=0, size=11), bytes_max=10)
    assert decision.remove == ("a", "b")
    assert decision.because.startswith("1 older than 1 d; 1 of the oldest to make room")


@pytest.mark.parametrize(("keep_s", "bytes_max"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_refuses_to_keep_nothing(keep_s: float, bytes_max: int) -> None:
    """A retention under which no record could live is refused with a next step."""
    with pytest.raises(RetentionError) as caught:
        Retention(keep_s=keep_s, bytes_max=bytes_max)
    assert "records.retention_days" in caught.value.fix


@given(parts=parts_of_a_log, held=sizes, bytes_max=st.integers(1, 5_000))
def test_what_stays_is_young_and_fits(parts: tuple[Part, ...], held: int, bytes_max: int) -> None:
    """Whatever the log holds, afterwards nothing is past its time and it fits, if it can."""
    gone = set(decided(*parts, bytes_max=bytes_max, held=held).remove)
    stays = [one for one in parts if one.name not in gone]
    assert all(one.ends_at > NOW - DAY for one in stays)
    assert not stays or held + sum(one.bytes for one in stays) <= bytes_max


@given(parts=parts_of_a_log, held=sizes, bytes_max=st.integers(1, 5_000))
def test_removes_no_more_than_it_must(parts: tuple[Part, ...], held: int, bytes_max: int) -> None:
    """No younger part goes before an older one, and the last to go was needed."""
    gone = decided(*parts, bytes_max=bytes_max, held=held).remove
    by_name = {one.name: one for one in parts}
    ages = [by_name[name].ends_at for name in gone]
    stays = [one for one in parts if one.name not in gone]
    assert ages == sorted(ages)
    assert all(one.ends_at >= max(ages, default=0) for one in stays)
    if gone and ages[-1] > NOW - DAY:
        with_it = sum(one.bytes for one in stays) + by_name[gone[-1]].bytes
        assert held + with_it > bytes_max
