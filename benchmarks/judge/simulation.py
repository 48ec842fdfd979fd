"""Let one release of a known truth run for an hour, under the judge and its rivals."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from rivals import FixedThreshold, peeking_ends
from scenarios import BATCH_S, LATENCY_SD, MINUTES, STEPS, Scenario

from servewell.core.catalog.evidence import Evidence
from servewell.core.catalog.judgement import Arm, Batch, Verdict
from servewell.core.catalog.rollout import Margins, RolloutPlan
from servewell.core.operations.judge import judge, observe

PLAN: Final = RolloutPlan()
STRICT: Final = RolloutPlan(
    margins=Margins(
        error_ratio=1.1, error_excess=0.0005, latency_ratio=1.02, slow_ratio=1.1, score_psi=0.02
    )
)


@dataclass(kw_only=True)
class Run:
    """In which minute each ended the release; None where it never did."""

    judge: int | None = None
    strict: int | None = None
    fixed: int | None = None
    peeking: int | None = None
    shown: int | None = None  # when the judge first held the candidate fit for promotion
    promoted: bool = False  # whether it was fit at the end, and not ended before
    because: str = ""


def simulate(scenario: Scenario, rng: np.random.Generator) -> Run:
    """Return what became of one release."""
    run, fixed = Run(), FixedThreshold()
    evidence, before = Evidence(), (0, 0)
    for minute in range(1, MINUTES + 1):
        share = STEPS[(minute - 1) * len(STEPS) // MINUTES]
        for _ in range(60 // BATCH_S):
            evidence = observe(evidence, _batch(scenario, share, rng), PLAN)
        requests, errors = evidence.requests, evidence.failed
        if run.fixed is None and fixed.ends(requests[1] - before[0], errors[1] - before[1]):
            run.fixed = minute
        if run.peeking is None and peeking_ends(requests, errors):
            run.peeking = minute
        before = requests[1], errors[1]
        _judged(run, evidence, minute)
    run.promoted = run.promoted and run.judge is None
    return run


def _judged(run: Run, evidence: Evidence, minute: int) -> None:
    if run.strict is None and judge(STRICT, evidence).verdict is Verdict.ROLL_BACK:
        run.strict = minute
    if run.judge is not None:
        return
    judgement = judge(PLAN, evidence)
    run.promoted = judgement.verdict is Verdict.PROMOTE
    if judgement.verdict is Verdict.ROLL_BACK:
        run.judge, run.because = minute, judgement.because
    if run.promoted and run.shown is None:
        run.shown = minute


def _batch(scenario: Scenario, share: float, rng: np.random.Generator) -> Batch:
    requests = rng.poisson(scenario.per_second * BATCH_S)
    candidate = rng.binomial(requests, share)
    return Batch(
        stable=_arm(scenario, int(requests - candidate), rng),
        candidate=_arm(scenario, int(candidate), rng, candidate=True),
    )


def _arm(
    scenario: Scenario, requests: int, rng: np.random.Generator, *, candidate: bool = False
) -> Arm:
    errors = int(rng.binomial(requests, scenario.candidate if candidate else scenario.stable))
    if not scenario.measured:
        return Arm(requests=requests, errors=errors)
    answered = requests - errors
    slower, shifted = (scenario.slower, scenario.shifted) if candidate else (0.0, 0.0)
    return Arm(
        requests=requests,
        errors=errors,
        latencies_ms=tuple(np.exp(rng.normal(2 + slower, LATENCY_SD, answered)).tolist()),
        scores=tuple(rng.normal(shifted, 1, answered).tolist()),
    )
