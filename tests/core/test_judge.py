"""Judge a rollout on the evidence, whenever asked."""

import json
import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import (
    Arm,
    Batch,
    Finding,
    GuardFacts,
    Judgement,
    Showing,
    Verdict,
)
from servewell.core.catalog.rollout import Margins, RolloutPlan
from servewell.core.operations.findings import PARTS
from servewell.core.operations.judge import crowded, hard_guard, judge, observe

PLAN = RolloutPlan()
ODD = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def arms(draw: st.DrawFn) -> Arm:
    """Return any arm, with numbers that are none among its values."""
    requests = draw(st.integers(0, 30))
    values = st.lists(st.one_of(ODD, st.floats(0, 1e4)), max_size=5).map(tuple)
    return Arm(
        requests=requests,
        errors=draw(st.integers(0, requests)),
        timeouts=draw(st.integers(0, requests)),
        invalid=draw(st.integers(0, requests)),
        latencies_ms=draw(values),
        scores=draw(values),
        losses=draw(st.lists(st.one_of(ODD, st.floats(0, 1e3)), max_size=5).map(tuple)),
    )


BATCHES = st.lists(st.builds(lambda a, b: Batch(stable=a, candidate=b), arms(), arms()), max_size=5)


def _evidence(batches: list[Batch], plan: RolloutPlan = PLAN) -> Evidence:
    evidence = Evidence()
    for batch in batches:
        evidence = observe(evidence, batch, plan)
    return evidence


def _arm(rng: np.random.Generator, requests: int, **more: float) -> Arm:
    """Return an arm that answers: `failing` share, `slower` log-latency, `moved` outputs."""
    errors = int(rng.binomial(requests, more.get("failing", 0.0)))
    return Arm(
        requests=requests,
        errors=errors,
        latencies_ms=tuple(np.exp(rng.normal(2 + more.get("slower", 0), 0.4, requests)).tolist()),
        scores=tuple(rng.normal(more.get("moved", 0), 1, requests).tolist()),
        losses=tuple(rng.normal(1 + more.get("lost", 0), 0.5, requests).tolist()),
    )


def _judged(looks: int, plan: RolloutPlan = PLAN, **more: float) -> Judgement:
    """Return the word on looks at 100 requests each, the share going from 10 to 50 %."""
    rng = np.random.default_rng(1)
    batches = []
    for look in range(looks):
        mine = 10 if look < looks / 2 else 50
        batches.append(Batch(stable=_arm(rng, 100 - mine), candidate=_arm(rng, mine, **more)))
    return judge(plan, _evidence(batches, plan))


def _of(judgement: Judgement, measure: str) -> Finding:
    return next(one for one in judgement.findings if one.measure == measure)


@given(BATCHES)
@settings(max_examples=40)
def test_no_number_is_ever_none_and_all_survives_json(batches: list[Batch]) -> None:
    """Whatever comes, evidence and judgement hold finite numbers, and JSON brings them back."""
    evidence = _evidence(batches)
    text = json.dumps(msgspec.to_builtins(evidence), allow_nan=False)
    assert msgspec.convert(json.loads(text), Evidence) == evidence
    judgement = judge(PLAN, evidence)
    told = json.dumps(msgspec.to_builtins(judgement), allow_nan=False)
    assert msgspec.convert(json.loads(told), Judgement) == judgement


@given(BATCHES)
@settings(max_examples=40)
def test_every_word_has_its_reason(batches: list[Batch]) -> None:
    """Waiting names what is missing; the other two name nothing of the kind."""
    judgement = judge(PLAN, _evidence(batches))
    assert judgement.because
    assert all(one.because for one in judgement.findings)
    assert bool(judgement.missing) == (judgement.verdict is Verdict.WAIT)


@given(BATCHES, st.data())
@settings(max_examples=40)
def test_requests_are_counted_alike_however_they_are_cut(
    batches: list[Batch], data: st.DataObject
) -> None:
    """Batches told one by one and empty ones between them count the same."""
    cut = list(batches)
    for _ in range(3):
        cut.insert(data.draw(st.integers(0, len(cut))), Batch(stable=Arm(), candidate=Arm()))
    whole, parts = _evidence(batches), _evidence(cut)
    assert replace(whole, looks=0) == replace(parts, looks=0)


def test_a_batch_cut_in_arms_is_the_same_batch() -> None:
    """What the two did at the same time may come one after the other."""
    rng = np.random.default_rng(3)
    batch = Batch(stable=_arm(rng, 60), candidate=_arm(rng, 40, failing=0.1))
    start = observe(Evidence(), Batch(stable=_arm(rng, 400), candidate=Arm()), PLAN)
    whole = observe(start, batch, PLAN)
    first = observe(start, Batch(stable=batch.stable, candidate=Arm()), PLAN)
    parts = observe(first, Batch(stable=Arm(), candidate=batch.candidate), PLAN)
    assert parts.errors == whole.errors
    assert parts.latency == whole.latency
    assert parts.score == whole.score


def test_no_traffic_waits_and_says_what_it_lacks() -> None:
    """Without a request there is no word but to wait, with the number that is asked for."""
    judgement = judge(PLAN, Evidence())
    assert judgement.verdict is Verdict.WAIT
    assert "200 more requests of the candidate" in judgement.missing
    assert any("stable" in one for one in judgement.missing)


def test_a_stable_one_without_traffic_proves_nothing() -> None:
    """Ten thousand good requests of the candidate alone are compared with nothing."""
    rng = np.random.default_rng(2)
    batches = [Batch(stable=Arm(), candidate=_arm(rng, 100)) for _ in range(100)]
    judgement = judge(PLAN, _evidence(batches))
    assert judgement.verdict is Verdict.WAIT
    assert all(one.showing is Showing.NO_DATA for one in judgement.findings)


def test_an_equal_candidate_is_promoted_when_all_is_shown() -> None:
    """Two thousand requests of an equal candidate show that it is not worse in anything."""
    judgement = _judged(100)
    assert judgement.verdict is Verdict.PROMOTE
    assert {one.showing for one in judgement.findings if one.required} == {Showing.NOT_WORSE}
    assert all(
        one.high is not None and one.margin is not None and one.high < one.margin
        for one in judgement.findings
        if one.required
    )


def test_silence_is_no_proof() -> None:
    """Three hundred good requests raise no alarm and do not suffice; the lack is told."""
    judgement = _judged(10)
    assert judgement.verdict is Verdict.WAIT
    assert all(one.showing is not Showing.WORSE for one in judgement.findings)
    assert any("more requests of the candidate" in one for one in judgement.missing)


@pytest.mark.parametrize(
    ("more", "measure"),
    [
        ({"failing": 0.05}, "errors"),
        ({"slower": 0.3}, "latency"),
        ({"moved": 1.0}, "score"),
    ],
)
def test_each_fault_is_named(more: dict[str, float], measure: str) -> None:
    """A candidate that is worse in one thing is taken back because of it."""
    judgement = _judged(100, **more)
    assert judgement.verdict is Verdict.ROLL_BACK
    assert _of(judgement, measure).showing is Showing.WORSE
    assert measure in judgement.because


def test_labels_that_say_worse_take_it_back_though_no_margin_is_declared() -> None:
    """A larger loss is enough; an equal one is not asked to be shown."""
    assert _judged(100, lost=0.5).verdict is Verdict.ROLL_BACK
    equal = _judged(100)
    assert not _of(equal, "loss").required


def test_a_declared_margin_of_loss_asks_for_labels() -> None:
    """Without any label there is no promotion, and `missing` says so."""
    plan = RolloutPlan(margins=Margins(loss=0.2))
    rng = np.random.default_rng(1)
    batches = [
        Batch(stable=replace(_arm(rng, 50), losses=()), candidate=replace(_arm(rng, 50), losses=()))
        for _ in range(80)
    ]
    judgement = judge(plan, _evidence(batches, plan))
    assert judgement.verdict is Verdict.WAIT
    assert [one.split(":")[0] for one in judgement.missing] == ["loss"]
    unlike = replace(_evidence(batches, plan), loss_measure="brier", unlike=40)
    told = "the two are not measured alike, 40 labels are not told by brier"
    assert any(told in one for one in judge(plan, unlike).missing)
    assert _judged(100, plan).verdict is Verdict.PROMOTE


@pytest.mark.parametrize(("lost", "showing"), [(0.0, Showing.NOT_WORSE), (0.5, Showing.WORSE)])
def test_the_labels_of_a_week_are_enough_at_once(lost: float, showing: Showing) -> None:
    """A thousand of each in a single file tell as much as if they had come day by day."""
    plan = RolloutPlan(margins=Margins(loss=0.2))
    rng = np.random.default_rng(1)
    labels = Batch(
        stable=Arm(losses=_arm(rng, 1000).losses),
        candidate=Arm(losses=_arm(rng, 1000, lost=lost).losses),
    )
    finding = _of(judge(plan, _evidence([labels], plan)), "loss")
    assert finding.showing is showing


def test_slower_within_the_margin_is_promoted_and_beyond_it_taken_back() -> None:
    """The margin, and not equality, is what latency is held against."""
    wide = RolloutPlan(margins=Margins(latency_ratio=1.5, slow_ratio=6.0))
    assert _judged(100, wide, slower=0.15).verdict is Verdict.PROMOTE
    assert _judged(100, slower=0.15).verdict is Verdict.ROLL_BACK


def test_the_least_number_of_requests_is_asked_for_to_the_last() -> None:
    """One request short of the minimum waits for one more request."""
    plan = replace(PLAN, requests_min=3_001)
    judgement = _judged(100, plan)
    assert judgement.missing == ("1 more request of the candidate",)


@pytest.mark.parametrize(("failed", "back"), [(4, False), (5, True)])
def test_a_candidate_that_only_fails_is_taken_back_at_once(failed: int, back: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """Five failures and no success are enough where the stable one answers; four are not."""
    good = Batch(stable=Arm(requests=40), candidate=Arm())
    bad = Batch(stable=Arm(requests=40), candidate=Arm(requests=failed, errors=failed))
    judgement = judge(PLAN, _evidence([good, bad]))
    assert (judgement.verdict is Verdict.ROLL_BACK) == back


def test_a_fault_that_both_share_takes_nothing_back() -> None:
    """Where the stable one fails too, a hundred failures are no sign against the candidate."""
    good = Batch(stable=Arm(requests=900), candidate=Arm(requests=100))
    outage = Batch(stable=Arm(requests=900, errors=900), candidate=Arm(requests=100, errors=100))
    judgement = judge(PLAN, _evidence([good, outage, outage]))
    assert judgement.verdict is Verdict.WAIT
    assert _of(judgement, "errors").showing is Showing.UNCLEAR


def test_hours_without_a_fault_do_not_cover_one_that_has_begun() -> None:
    """After a hundred thousand good requests, a hundred failures of the candidate take it back."""
    good = Batch(stable=Arm(requests=500, errors=2), candidate=Arm(requests=500, errors=2))
    evidence = _evidence([good] * 200)
    assert _of(judge(PLAN, evidence), "errors").showing is Showing.NOT_WORSE
    bad = Batch(stable=Arm(requests=50), candidate=Arm(requests=50, errors=25))
    for _ in range(4):
        evidence = observe(evidence, bad, PLAN)
    judgement = judge(PLAN, evidence)
    assert evidence.errors.events[1] / evidence.errors.requests[1] < 0.006
    assert judgement.verdict is Verdict.ROLL_BACK


@given(st.integers(1, 40))
def test_one_more_failure_never_helps(failed: int) -> None:
    """More failures among the same requests never turn a rollback into anything else."""

    def word(errors: int) -> Verdict:
        batch = Batch(stable=Arm(requests=300, errors=1), candidate=Arm(requests=60, errors=errors))
        return judge(PLAN, _evidence([batch] * 3)).verdict

    order = [Verdict.PROMOTE, Verdict.WAIT, Verdict.ROLL_BACK]
    assert order.index(word(failed)) >= order.index(word(failed - 1))


def test_rows_of_one_request_count_once() -> None:
    """A request of a thousand rows is one draw, not a thousand."""
    rng = np.random.default_rng(4)
    start = observe(Evidence(), Batch(stable=_arm(rng, 400), candidate=Arm()), PLAN)
    rows = Arm(requests=6, scores=tuple([2.0] * 6_000))
    seen = observe(start, Batch(stable=_arm(rng, 50), candidate=rows), PLAN)
    assert sum(seen.score.candidate) == 6


def test_equal_candidates_are_seldom_taken_back() -> None:
    """Of 60 equal candidates that fail 2 %, looked at 30 times each, at most 6 are taken back."""
    rng = np.random.default_rng(9)
    wrong = 0
    for _ in range(60):
        evidence, back = Evidence(), False
        for look in range(150):
            mine = rng.binomial(100, 0.1 if look < 75 else 0.5)
            arms = (Arm(requests=n, errors=rng.binomial(n, 0.02)) for n in (100 - mine, mine))
            evidence = observe(evidence, Batch(stable=next(arms), candidate=next(arms)), PLAN)
            if look % 5 == 4:
                back = back or judge(PLAN, evidence).verdict is Verdict.ROLL_BACK
        wrong += back
    assert wrong <= 6


def test_the_parts_of_the_chance_of_a_wrong_rollback_are_one() -> None:
    """No more is spent over all measures than what the plan allows."""
    assert math.fsum(PARTS.values()) == pytest.approx(1.0)


def memory(now: int, *, before: int) -> GuardFacts:
    """Return what a worker takes and took, in MB, where 10 are allowed."""
    return GuardFacts(
        memory_bytes=now * 10**6, memory_bytes_before=before * 10**6, memory_bytes_max=10**7
    )


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (GuardFacts(), ""),
        (GuardFacts(memory_bytes=10**12), ""),
        (memory(10, before=1), ""),
        (memory(11, before=1), "taken back"),
        (memory(11, before=10), "taken back"),
        (memory(20, before=14), "taken back"),
        (memory(20, before=16), "held"),
        (memory(20, before=30), "held"),
        (memory(20, before=0), "held"),
    ],
)
def test_only_who_took_most_of_the_excess_is_blamed_for_it(facts: GuardFacts, word: str) -> None:
    """Of 10 MB that are allowed; where it is not known what was taken before, nobody is."""
    assert bool(hard_guard(facts)) is (word == "taken back")
    assert bool(crowded(facts)) is (word == "held")
