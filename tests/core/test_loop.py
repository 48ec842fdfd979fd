"""A verdict starts only what is declared, and no more often; never on a feed that is broken."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.triage import Kind, Remedy, Triage
from servewell.core.catalog.workload_monitoring import (
    RetrainOnVerdict,
    RollBackOnVerdict,
    SignalRules,
)
from servewell.core.operations.monitoring.loop import Act, Facts, decide
from servewell.core.operations.monitoring.triage import TABLE

NOW = 1_700_000_000.0
BOTH = SignalRules(
    retrain=RetrainOnVerdict(), roll_back=RollBackOnVerdict(on=("skew", "concept-drift"))
)
verdicts = st.sampled_from(sorted(set(TABLE.values())))
moments = st.none() | st.floats(NOW - 1e6, NOW)


def facts(kind: Kind, remedy: Remedy, *, rules: SignalRules = BOTH) -> Facts:
    """Return facts in which nothing is in the way."""
    verdict = Triage(
        endpoint="flights",
        deployment="v2",
        kind=kind,
        remedy=remedy,
        since=NOW,
        because="the labels say so",
    )
    return Facts(
        now=NOW,
        triage=verdict,
        rules=rules,
        takes_requests=True,
        changed_at=NOW - 3_600,
    )


CONCEPT = facts(Kind.CONCEPT_DRIFT, Remedy.RETRAIN, rules=SignalRules(retrain=RetrainOnVerdict()))
SKEW = facts(Kind.SKEW, Remedy.ROLL_BACK)


def test_a_declared_verdict_acts_and_says_why() -> None:
    """Concept drift trains again, skew rolls back, both with the verdict in their reason."""
    for asked, act, signal in (
        (CONCEPT, Act.RETRAIN, "concept-drift"),
        (SKEW, Act.ROLL_BACK, "skew"),
    ):
        decision = decide(asked)
        assert (decision.act, decision.signal) == (act, signal)
        assert decision.because.endswith("in `v2`: the labels say so")


def test_nothing_is_started_that_is_not_declared() -> None:
    """By default a verdict is told, and starts nothing."""
    assert decide(replace(CONCEPT, rules=SignalRules())).act is Act.NOTHING
    only = SignalRules(retrain=RetrainOnVerdict(on=("covariate-shift",)))
    assert decide(replace(CONCEPT, rules=only)).act is Act.NOTHING


@pytest.mark.parametrize(
    ("hindered", "words"),
    [
        (replace(CONCEPT, rollout="r1"), "the rollout r1"),
        (replace(CONCEPT, takes_requests=False), "takes no requests"),
        (replace(CONCEPT, retraining=3), "retraining 3"),
        (replace(CONCEPT, halted="trainings are paused: a trial"), "paused"),
        (replace(CONCEPT, retrained_at=NOW - 80_000), "less than 86,400 s ago"),
        (replace(CONCEPT, retrained_at=NOW + 80_000), "less than 86,400 s ago"),
        (replace(SKEW, rollout="r1"), "the rollout r1"),
        (replace(SKEW, no_way_back="no earlier traffic"), "no earlier traffic"),
        (replace(SKEW, changed_at=NOW - 700_000), "has not changed"),
        (replace(SKEW, rolled_back_at=NOW - 80_000), "less than 86,400 s ago"),
    ],
)
def test_what_is_in_the_way_is_said(hindered: Facts, words: str) -> None:
    """Each limit holds, and the decision names it."""
    decision = decide(hindered)
    assert decision.act is Act.NOTHING
    assert words in decision.because


@given(verdict=verdicts, rollout=st.booleans(), retrained=moments, back=moments, changed=moments)
@settings(max_examples=200, deadline=None)
def test_no_act_breaks_a_limit(
    *,
    verdict: tuple[Kind, Remedy],
    rollout: bool,
    retrained: float | None,
    back: float | None,
    changed: float | None,
) -> None:
    """Never on cannot tell or a broken feed, during a rollout, or more often than declared."""
    given_facts = replace(
        facts(*verdict),
        rollout="r1" if rollout else "",
        retrained_at=retrained,
        rolled_back_at=back,
        changed_at=changed,
    )
    act = decide(given_facts).act
    if act is Act.NOTHING:
        return
    assert verdict[0] not in (Kind.UNKNOWN, Kind.BROKEN_FEED, Kind.NONE, Kind.HARMLESS_SHIFT)
    assert not rollout
    last = retrained if act is Act.RETRAIN else back
    assert last is None or NOW - last >= 86_400
