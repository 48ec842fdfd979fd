"""What the evidence of a rollout means to its next move."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.test_rollout import begun
from servewell.core.catalog.comparison import Comparison
from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import Arm
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.judge import all_failing
from servewell.core.operations.observing import alone
from servewell.core.operations.observing import before as before_all
from servewell.core.operations.rollout_evidence import alone_word, gap_word, shadow_word

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
    ("before", "alone", "word"),
    [
        ((0, 0), (0, 0), ""),
        ((0, 0), (10_000, 40), ""),  # 0.4 %, of which 0.5 % is allowed
        ((0, 0), (1_000, 200), "unsure"),  # of the other nothing is known
        ((50, 1), (1_000, 200), "unsure"),  # 2 % of 50: next to nothing
        ((0, 0), (10, 1), ""),  # too few to tell
        ((1_000, 20), (1_000, 20), ""),  # alike, though 2 % fail
        ((1_000, 20), (1_000, 200), "worse"),
        ((5_000, 1_000), (1_000, 200), ""),
        ((5_000, 1_000), (1_000, 400), "worse"),
    ],
)
def test_alone_it_is_held_to_what_the_other_did(
    before: tuple[int, int], alone: tuple[int, int], word: str
) -> None:
    """Within the margins, and only on what is shown of both."""
    found = alone_word(PLAN, Evidence(before=before, alone=alone))
    assert (bool(found.worse), bool(found.unsure)) == (word == "worse", word == "unsure")


def test_alone_an_equal_candidate_is_seldom_taken_back() -> None:
    """Of 40 that fail 2 % as the other did, looked at 40 times each, none is."""
    rng = np.random.default_rng(3)

    def some() -> Arm:
        return Arm(requests=50, errors=int(rng.binomial(50, 0.02)))

    for _ in range(40):
        evidence = Evidence()
        for _ in range(10):
            evidence = before_all(evidence, some())
        for _ in range(40):
            evidence = alone(evidence, some())
            assert not alone_word(PLAN, evidence).worse


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, ""),
        ({"missing": 12}, "12 records are missing (as before)"),
        ({"missing": 12, "gaps": ("old", "new")}, "12 records are missing (new)"),
        ({"gaps": ("old", "an unknown number")}, "an unknown number"),
    ],
)
def test_a_gap_is_told_also_where_nobody_knows_its_size(changes: dict[str, Any], word: str) -> None:
    """What is missing since the last look, and why."""
    before = replace(begun(), comparison=Comparison(gaps=("old",)))
    after = replace(before, comparison=replace(before.comparison, **changes))
    assert gap_word(before, after) == word


def test_a_candidate_that_fails_alone_is_seen() -> None:
    """A row of failures counts on when nobody else is asked any more; one answer ends it."""
    failing = alone(Evidence(), Arm(requests=40, errors=40))
    assert failing.alone == (40, 40)
    assert "last 40 requests" in all_failing(PLAN, failing)
    assert alone(failing, Arm(requests=2, errors=1)).run.failed == 0
    assert alone(failing, Arm()) == failing
