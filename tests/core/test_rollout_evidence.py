"""What the evidence of a rollout means to its next move."""

import pytest

from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import Arm
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.judge import all_failing
from servewell.core.operations.observing import alone
from servewell.core.operations.rollout_evidence import failing_alone, shadow_word

PLAN = RolloutPlan(shadow_requests=500, disagreement_max=0.1)


@pytest.mark.parametrize(
    ("comparison", "worse", "missing"),
    [
        (Comparison(), "", "500 compared copies more"),
        (Comparison(requests=499, rows=499, differing=499), "", "1 compared copies more"),
        (Comparison(requests=500, rows=1_000, differing=100), "", ""),
        (Comparison(requests=500, rows=1_000, differing=101), "10.1% of 1,000 compared rows", ""),
        (Comparison(requests=498, rows=498, failures={"SW-320": 2}), "", ""),
        (Comparison(requests=497, rows=497, failures={"SW-320": 3}), "3 of 500 copies", ""),
        (Comparison(failures={"SW-320": 20}), "all of its first 20 copies", ""),
        (Comparison(failures={"SW-320": 19}), "", "481 compared copies more"),
        (Comparison(requests=500, incomparable=500), "no output in common", ""),
    ],
)
def test_a_shadow_is_judged_once(comparison: Comparison, worse: str, missing: str) -> None:
    """When enough copies were compared, and not before, unless it answers nothing at all."""
    word = shadow_word(PLAN, comparison)
    assert worse in word.worse
    assert bool(word.worse) is bool(worse)
    assert word.missing == ((missing,) if missing else ())


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (Evidence(), False),
        (Evidence(alone=(10_000, 40)), False),  # 0.4 %, of which 0.5 % is allowed
        (Evidence(alone=(1_000, 200)), True),
        (Evidence(alone=(10, 1)), False),  # too few to tell
        (Evidence(alone=(1_000, 200), requests=(5_000, 50), failed=(1_000, 10)), False),
        (Evidence(alone=(1_000, 400), requests=(5_000, 50), failed=(1_000, 10)), True),
    ],
)
def test_alone_it_is_held_to_what_the_other_did(evidence: Evidence, *, told: bool) -> None:
    """Within the margins, and only on what is shown."""
    assert bool(failing_alone(PLAN, evidence)) is told


def test_a_candidate_that_fails_alone_is_seen() -> None:
    """A row of failures counts on when nobody else is asked any more; one answer ends it."""
    failing = alone(Evidence(), Arm(requests=40, errors=40))
    assert failing.alone == (40, 40)
    assert "last 40 requests" in all_failing(PLAN, failing)
    assert alone(failing, Arm(requests=2, errors=1)).run.failed == 0
    assert alone(failing, Arm()) == failing
