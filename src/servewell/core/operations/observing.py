"""Add what was observed to the evidence of a rollout.

Requests are gathered in a window until it holds `WINDOW_MIN` of each deployment; then its counts
go into the statistics. Only the allotment of requests decides when a window closes, which is what
the statistics ask for, and within one the two are compared as they were at the same time.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Final

from servewell.core.catalog.evidence import Contrast, Evidence, FailingRun, Moments, Share, Tally
from servewell.core.catalog.judgement import Arm, Batch
from servewell.core.operations.confidence_sequence import contrasted, merged, moments
from servewell.core.operations.distribution_shift import counts, shifted, with_bins
from servewell.core.operations.e_process import counted

WINDOW_MIN: Final = 5  # requests of each, and labels of each
LABEL_WINDOWS_MAX: Final = 20  # of labels that arrive at once
SLOW_SHARE: Final = 0.05  # of the stable one's first answers that are above the threshold
FIRST_LATENCIES: Final = 200
_FASTEST_MS: Final = 1e-3
_LARGEST: Final = 1e75  # beyond it nothing is a number: sums of squares of it would not be finite


def observe(evidence: Evidence, batch: Batch, *, alpha: float) -> Evidence:
    """Return the evidence with one batch more. Values that are no numbers are passed over.

    Units: `alpha` is the chance of a wrong bound, of the estimates that are made as outputs come.
    """
    seen = _totalled(evidence, batch)
    ready = _with_references(seen, batch.stable)
    window = (
        _joined(ready.window[0], _share(ready, seen, batch.stable)),
        _joined(ready.window[1], _share(ready, seen, batch.candidate)),
    )
    return _with_labels(_closed(replace(ready, window=window), alpha=alpha), batch)


def alone(evidence: Evidence, candidate: Arm) -> Evidence:
    """Return the evidence with what the candidate did while it got all requests."""
    failed = failures(candidate)
    seen = _plus(evidence.alone, (candidate.requests, failed))
    run = FailingRun()
    if failed == candidate.requests:
        run = replace(evidence.run, failed=evidence.run.failed + failed)
    return replace(evidence, alone=seen, run=run)


def before(evidence: Evidence, stable: Arm) -> Evidence:
    """Return the evidence with what the stable one did, whether or not the other had a share."""
    seen = _plus(evidence.before, (stable.requests, failures(stable)))
    return replace(evidence, before=seen)


def failures(arm: Arm) -> int:
    """Return how many requests of a batch went wrong, whatever way."""
    return min(arm.errors + arm.timeouts + arm.invalid, arm.requests)


def _totalled(evidence: Evidence, batch: Batch) -> Evidence:
    stable, candidate = batch.stable, batch.candidate
    failed = failures(stable), failures(candidate)
    return replace(
        evidence,
        looks=evidence.looks + 1,
        requests=_plus(evidence.requests, (stable.requests, candidate.requests)),
        failed=_plus(evidence.failed, failed),
        scored=_plus(evidence.scored, (len(stable.scores), len(candidate.scores))),
        run=_run(evidence.run, batch, failed),
    )


def _plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def _run(run: FailingRun, batch: Batch, failed: tuple[int, int]) -> FailingRun:
    if failed[1] < batch.candidate.requests:
        return FailingRun()
    return FailingRun(
        failed=run.failed + failed[1],
        stable_requests=run.stable_requests + batch.stable.requests,
        stable_failed=run.stable_failed + failed[0],
    )


def _with_references(evidence: Evidence, stable: Arm) -> Evidence:
    """Freeze the threshold of slowness and the bins, once the stable one has shown enough."""
    ready = evidence
    if ready.slow_ms is None:
        first = ready.first_latencies + tuple(_finite(stable.latencies_ms))
        ready = replace(ready, first_latencies=first)
        if len(first) >= FIRST_LATENCIES:
            ordered = sorted(first)
            slow_ms = ordered[math.ceil(len(ordered) * (1 - SLOW_SHARE)) - 1]
            ready = replace(ready, first_latencies=(), slow_ms=slow_ms)
    if not ready.score.edges:
        ready = replace(ready, score=with_bins(ready.score, _one_each(stable)))
    return ready


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if -_LARGEST < value < _LARGEST]


def _one_each(arm: Arm) -> list[float]:
    """Return about one score of each request: rows of one request are not drawn apart."""
    stride = max(1, -(-len(arm.scores) // max(arm.requests, 1)))
    return _finite(arm.scores[::stride])


def _share(ready: Evidence, before: Evidence, arm: Arm) -> Share:
    """Return one batch as counts. What made a reference is not compared with it."""
    latencies = _finite(arm.latencies_ms)
    slow_ms = before.slow_ms
    return Share(
        requests=arm.requests,
        errors=min(arm.errors, arm.requests),
        timeouts=min(arm.timeouts, arm.requests),
        invalid=min(arm.invalid, arm.requests),
        timed=0 if slow_ms is None else len(latencies),
        slow=0 if slow_ms is None else sum(1 for value in latencies if value > slow_ms),
        latency=moments([math.log(max(value, _FASTEST_MS)) for value in latencies]),
        scores=counts(ready.score, _one_each(arm)) if before.score.edges else (),
    )


def _joined(a: Share, b: Share) -> Share:
    return Share(
        requests=a.requests + b.requests,
        errors=a.errors + b.errors,
        timeouts=a.timeouts + b.timeouts,
        invalid=a.invalid + b.invalid,
        timed=a.timed + b.timed,
        slow=a.slow + b.slow,
        latency=merged(a.latency, b.latency),
        scores=tuple(x + y for x, y in zip(a.scores, b.scores, strict=True))
        if a.scores and b.scores
        else a.scores or b.scores,
    )


def _closed(evidence: Evidence, *, alpha: float) -> Evidence:
    """Take the window into the statistics, where it holds enough of both."""
    stable, candidate = evidence.window
    if min(stable.requests, candidate.requests) < WINDOW_MIN:
        return evidence
    requests = stable.requests, candidate.requests

    def more(tally: Tally, events: tuple[int, int]) -> Tally:
        return counted(tally, requests=requests, events=events)

    score = evidence.score
    if stable.scores and candidate.scores:
        score = shifted(score, stable.scores, candidate.scores, alpha=alpha)
    return replace(
        evidence,
        errors=more(evidence.errors, (stable.errors, candidate.errors)),
        timeouts=more(evidence.timeouts, (stable.timeouts, candidate.timeouts)),
        invalid=more(evidence.invalid, (stable.invalid, candidate.invalid)),
        slow=counted(
            evidence.slow,
            requests=(stable.timed, candidate.timed),
            events=(stable.slow, candidate.slow),
        ),
        latency=contrasted(evidence.latency, stable.latency, candidate.latency),
        score=score,
        window=(Share(), Share()),
    )


def _with_labels(evidence: Evidence, batch: Batch) -> Evidence:
    """Take in labels; of many that arrive at once, as after a week, each part is a window."""
    stable, candidate = _finite(batch.stable.losses), _finite(batch.candidate.losses)
    parts = min(len(stable), len(candidate)) // WINDOW_MIN
    for one, other in zip(*(_split(arm, parts) for arm in (stable, candidate)), strict=True):
        evidence = _closed_labels(
            replace(
                evidence,
                labelled=(
                    merged(evidence.labelled[0], moments(one)),
                    merged(evidence.labelled[1], moments(other)),
                ),
            )
        )
    return evidence


def _split(values: list[float], parts: int) -> list[list[float]]:
    """Return the values in order, in as many parts of about one size; at least one part."""
    count = min(max(parts, 1), LABEL_WINDOWS_MAX)
    bounds = [len(values) * k // count for k in range(count + 1)]
    return [values[a:b] for a, b in pairwise(bounds)]


def _closed_labels(evidence: Evidence) -> Evidence:
    stable, candidate = evidence.labelled
    if min(stable.n, candidate.n) < WINDOW_MIN:
        return evidence
    loss: Contrast = contrasted(evidence.loss, stable, candidate)
    return replace(evidence, loss=loss, labelled=(Moments(), Moments()))
