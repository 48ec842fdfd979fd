"""What the answers of a shadow are said to be, beside those that callers got."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_record import SHADOW
from servewell.core.operations.comparison import WAITING_MAX, Copied, compare
from servewell.core.operations.distribution_shift import corrected_psi
from servewell.core.operations.routing import is_copied
from servewell.core.operations.wilson import interval

ALL = Copied(shadow="new", share_bp=10_000, difference_max=0.05)
SECOND = 1_000_000_000


def live(number: int, score: float = 0.5, **changes: Any) -> Outcome:  # noqa: ANN401 - fields of any type
    """Return a request that a caller got an answer to."""
    plain = Outcome(
        prediction_id=f"id-{number}",
        time_ns=number * SECOND // 1_000,
        deployment="old",
        role="",
        status=200,
        code="",
        snapshot=1,
        rows=1,
        stages_us=(0, 0, 0, 2_000, 0),
        outputs={"p": [score], "label": ["late" if score > 0.5 else "early"]},
        inputs={"carrier": ["AA" if number % 4 else "UA"], "x": [1.5], "name": [f"n{number}"]},
        segment="w0",
        sequence=number,
        endpoint="flights",
    )
    return msgspec.structs.replace(plain, **changes)


def shadow(number: int, score: float = 0.5, **changes: Any) -> Outcome:  # noqa: ANN401 - fields of any type
    """Return the answer of the candidate to the same request."""
    copy: dict[str, Any] = {"role": SHADOW, "deployment": "new", "inputs": {}}
    copy["stages_us"] = (0, 0, 0, 4_000, 0)
    return live(number, score, **(copy | changes))


def test_pairs_are_compared_row_by_row() -> None:
    """What agrees, what differs too much, and what has another label."""
    outcomes = [live(0, 0.3), shadow(0, 0.32), live(1, 0.2), shadow(1, 0.4)]
    outcomes += [live(2, 0.49), shadow(2, 0.51), live(3, 0.1), shadow(3, 0.1)]
    found = compare(Comparison(), outcomes, copied=ALL)
    assert (found.requests, found.rows, found.differing, found.changed) == (4, 4, 2, 1)
    assert math.isclose(found.largest, 0.2)
    assert found.disagreement == 0.5
    assert sum(found.differences) == 4
    assert [one.prediction_id for one in found.examples] == ["id-2", "id-1"]
    assert found.examples[0].live == {"p": 0.49, "label": "early"}
    assert found.examples[0].shadow == {"p": 0.51, "label": "late"}
    assert found.examples[0].inputs == {"carrier": "AA", "x": 1.5, "name": "n2"}
    assert (found.live_ms.mean, found.shadow_ms.mean) == (2.0, 4.0)
    assert math.isclose(found.ratio_ln.mean, math.log(2))


@settings(max_examples=50)
@given(order=st.permutations(range(80)), cuts=st.lists(st.integers(0, 80), max_size=5))
def test_order_and_looks_make_no_difference(order: list[int], cuts: list[int]) -> None:
    """In any order, in one look or several, with the state kept as JSON between them."""
    outcomes = [live(n, n % 10 / 10) for n in range(40)]
    outcomes += [shadow(n, n % 10 / 10 + 0.1 * (n % 3)) for n in range(40)]
    whole = compare(Comparison(), outcomes, copied=ALL)
    found = Comparison()
    for start, end in pairwise([0, *sorted(cuts), len(outcomes)]):
        looked = compare(found, [outcomes[n] for n in order[start:end]], copied=ALL)
        kept = msgspec.json.encode(msgspec.to_builtins(looked))
        found = msgspec.convert(msgspec.json.decode(kept), type=Comparison)
    assert (found.requests, found.rows, found.differing) == (40, 40, whole.differing)
    assert found.slices == whole.slices
    assert found.differences == whole.differences
    assert (found.waiting, found.early, found.unmatched, found.never_ran) == ((), (), 0, 0)


def test_slices_are_of_text_inputs_with_few_values() -> None:
    """A worse group shows; an input with a value for each row is no slice."""
    outcomes = [live(n, 0.5) for n in range(100)]
    outcomes += [shadow(n, 0.5 if n % 4 else 0.4) for n in range(100)]
    found = compare(Comparison(), outcomes, copied=ALL)
    assert found.slices["carrier"]["UA"].differing == found.slices["carrier"]["UA"].rows == 25
    assert found.slices["carrier"]["AA"].differing == 0
    assert set(found.slices) == {"carrier"}
    assert found.unsliced == ("name",)


def test_failures_of_the_shadow_are_counted_by_their_code() -> None:
    """They are no disagreement, and their rows are not compared."""
    outcomes = [live(0), shadow(0, status=500, code="SW-316", outputs={}), live(1), shadow(1)]
    found = compare(Comparison(), outcomes, copied=ALL)
    assert (found.failures, found.failed) == ({"SW-316": 1}, 1)
    assert (found.requests, found.rows, found.incomparable) == (1, 1, 0)


def test_a_clock_that_is_set_back_loses_only_what_waited_then() -> None:
    """What comes after it is compared like before, and what waited is let go of."""
    hour_ns = 3_600 * SECOND
    found = compare(Comparison(), [live(n, time_ns=hour_ns + n) for n in range(3)], copied=ALL)
    for number in range(10, 20):
        found = compare(found, [live(number)], copied=ALL)
        found = compare(found, [shadow(number)], copied=ALL)
    assert (found.requests, found.never_ran, found.waiting) == (10, 3, ())


def test_answers_without_a_common_output_are_counted() -> None:
    """Another signature is said, not taken for agreement."""
    found = compare(Comparison(), [live(0), shadow(0, outputs={"q": [1.0]})], copied=ALL)
    assert (found.requests, found.incomparable, found.disagreement) == (0, 1, None)


def test_what_never_meets_is_counted() -> None:
    """A copy that was dropped, and an answer whose live record is gone."""
    outcomes = [live(0), shadow(1), live(100_000), shadow(100_000)]
    found = compare(Comparison(), outcomes, copied=ALL)
    assert (found.requests, found.never_ran, found.unmatched) == (1, 1, 1)


def test_only_what_was_offered_waits() -> None:
    """By the id alone it is known which live requests were copied."""
    copied = replace(ALL, share_bp=1_000)
    found = compare(Comparison(), [live(n) for n in range(500)], copied=copied)
    assert {one.prediction_id for one in found.waiting} == {
        f"id-{n}" for n in range(500) if is_copied(f"id-{n}", 1_000)
    }


def test_what_waits_is_bounded_without_a_preference() -> None:
    """A shadow that comes late is compared as often as one that comes soon."""
    late: dict[int, list[Outcome]] = {}
    found = Comparison()
    for look in range(40):
        outcomes = [live(n) for n in range(look * 200, look * 200 + 200)]
        for one in outcomes:
            delay = 1 if one.sequence % 2 else 4
            late.setdefault(look + delay, []).append(
                shadow(one.sequence, 0.5 if delay == 1 else 0.9)
            )
        found = compare(found, [*outcomes, *late.pop(look, [])], copied=ALL)
        assert len(found.waiting) <= WAITING_MAX
    assert found.thinning >= 1
    assert found.rows > 500
    assert 0.4 < found.differing / found.rows < 0.6
    assert found.unmatched == 0


def test_the_distance_of_the_outputs_is_that_of_their_bins() -> None:
    """Alike it is near nothing, and a shift shows, less what chance gives."""
    scores = [n * 0.618_033_988_7 % 1 for n in range(2_000)]
    for moved, at_least, at_most in ((0.0, 0.0, 0.02), (0.3, 0.2, 10.0)):
        outcomes = [live(n, score) for n, score in enumerate(scores)]
        outcomes += [shadow(n, score + moved) for n, score in enumerate(scores)]
        found = compare(Comparison(), outcomes[:500] + outcomes[2_000:2_500], copied=ALL)
        found = compare(found, outcomes[500:2_000] + outcomes[2_500:], copied=ALL)
        assert at_least <= corrected_psi(found.scores.stable, found.scores.candidate) <= at_most


@given(total=st.integers(1, 1_000), data=st.data())
def test_the_interval_holds_the_share(total: int, data: st.DataObject) -> None:
    """It lies within 0 and 1, around what was seen."""
    hits = data.draw(st.integers(0, total))
    low, high = interval(hits, total)
    assert 0 <= low <= hits / total + 1e-12
    assert hits / total - 1e-12 <= high <= 1
