"""Compare the answers of a shadow with those that callers got, as both are recorded.

A live answer waits until that of the shadow is found, and the other way round, for `PATIENCE_S` of
the requests' own time: before or behind the newest of a look, as a clock may be set back. More than
`WAITING_MAX` do not wait: then only every second request is compared from now on, by the number of
its id, every fourth, and so on. That bounds what is kept without a preference for requests whose
copies were answered soon.
"""

import math
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.comparison import Comparison, Half
from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.catalog.outcome import Named, Outcome
from servewell.core.operations.confidence_sequence import merged, moments
from servewell.core.operations.distribution_shift import counts, shifted, with_bins
from servewell.core.operations.outcome_batch import ANSWERED, scores_of
from servewell.core.operations.routing import is_copied
from servewell.core.operations.row_difference import DIFFERENCES, Row, rows_of
from servewell.core.operations.shadow_slices import sliced, worst_first

PATIENCE_S: Final = 60
WAITING_MAX: Final = 300
ROWS_MAX: Final = 8  # of one request
CODES_MAX: Final = 20
FASTEST_MS: Final = 1e-3
ALPHA: Final = 0.05  # of the estimates of the shift of the outputs
NANOSECONDS: Final = 1_000_000_000
OTHER: Final = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Which requests are copied, and when two answers count as different."""

    shadow: str  # deployment
    share_bp: int  # of the live requests
    difference_max: float


def compare(comparison: Comparison, outcomes: Iterable[Outcome], *, copied: Copied) -> Comparison:
    """Return the comparison with more of what was recorded, in any order.

    Units: differences in those of the outputs.
    Raises: nothing.
    """
    waiting = {one.prediction_id: one for one in comparison.waiting}
    early = {one.prediction_id: one for one in comparison.early}
    newest_ns = 0
    pairs: list[tuple[Half, Half]] = []
    for outcome in outcomes:
        newest_ns = max(newest_ns, outcome.time_ns)
        if not _is_wanted(outcome, comparison.thinning, copied):
            continue
        half = _half(outcome)
        mine, other = (early, waiting) if outcome.is_shadow else (waiting, early)
        if half.prediction_id in other:
            found = other.pop(half.prediction_id)
            pairs.append((found, half) if outcome.is_shadow else (half, found))
        else:
            mine[half.prediction_id] = half
    kept = replace(
        comparison,
        waiting=tuple(waiting.values()),
        early=tuple(early.values()),
        newest_ns=newest_ns or comparison.newest_ns,
    )
    return _bounded(_compared(kept, pairs, copied))


def _is_wanted(outcome: Outcome, thinning: int, copied: Copied) -> bool:
    if not _in_sample(outcome.prediction_id, thinning):
        return False
    if outcome.is_shadow:
        return outcome.deployment == copied.shadow
    answered = outcome.status < ANSWERED and bool(outcome.outputs) and not outcome.code
    other = outcome.deployment != copied.shadow  # who asked for the candidate is not copied
    return answered and other and is_copied(outcome.prediction_id, copied.share_bp)


def _in_sample(prediction_id: str, thinning: int) -> bool:
    """Whether a request is one of 2 ** `thinning`; `is_copied` looks at the rest of the number."""
    return not thinning or (zlib.crc32(prediction_id.encode()) // BP_FULL) % 2**thinning == 0


def _half(outcome: Outcome) -> Half:
    return Half(
        prediction_id=outcome.prediction_id,
        time_ns=outcome.time_ns,
        status=outcome.status,
        code=outcome.code,
        model_ms=outcome.model_ms,
        outputs=_first_rows(outcome.outputs),
        inputs={} if outcome.is_shadow else _first_rows(outcome.inputs),
    )


def _first_rows(named: Named) -> Named:
    return {name: values[:ROWS_MAX] for name, values in named.items()}


def _bounded(comparison: Comparison) -> Comparison:
    """Let go of what waited long enough, then of every second one while too many wait."""
    waiting = tuple(one for one in comparison.waiting if _is_near(one, comparison.newest_ns))
    early = tuple(one for one in comparison.early if _is_near(one, comparison.newest_ns))
    bounded = replace(
        comparison,
        never_ran=comparison.never_ran + len(comparison.waiting) - len(waiting),
        unmatched=comparison.unmatched + len(comparison.early) - len(early),
        waiting=waiting,
        early=early,
    )
    while max(len(bounded.waiting), len(bounded.early)) > WAITING_MAX:
        bounded = _thinned(bounded)
    return bounded


def _is_near(half: Half, time_ns: int) -> bool:
    return abs(half.time_ns - time_ns) <= PATIENCE_S * NANOSECONDS


def _thinned(comparison: Comparison) -> Comparison:
    thinning = comparison.thinning + 1
    return replace(
        comparison,
        thinning=thinning,
        waiting=tuple(w for w in comparison.waiting if _in_sample(w.prediction_id, thinning)),
        early=tuple(e for e in comparison.early if _in_sample(e.prediction_id, thinning)),
    )


def _compared(comparison: Comparison, pairs: list[tuple[Half, Half]], copied: Copied) -> Comparison:
    failed = [shadow for _, shadow in pairs if shadow.status >= ANSWERED]
    answered = [pair for pair in pairs if pair[1].status < ANSWERED]
    rows = [row for live, shadow in answered for row in rows_of(live, shadow)]
    told = {row.prediction_id for row in rows}
    differing = [row for row in rows if row.changed or not row.difference <= copied.difference_max]
    slices, unsliced = sliced(comparison, rows, differing)
    return replace(
        _timed(_scored(comparison, answered), answered),
        requests=comparison.requests + len(told),
        rows=comparison.rows + len(rows),
        differing=comparison.differing + len(differing),
        changed=comparison.changed + sum(row.changed for row in rows),
        largest=max(
            [comparison.largest, *(r.difference for r in rows if math.isfinite(r.difference))]
        ),
        differences=_counted(comparison.differences, rows),
        failures=_more_failures(comparison.failures, failed),
        incomparable=comparison.incomparable + len(answered) - len(told),
        slices=slices,
        unsliced=unsliced,
        examples=worst_first(comparison.examples, differing),
    )


def _counted(differences: tuple[int, ...], rows: list[Row]) -> tuple[int, ...]:
    found = list(differences or (0,) * (len(DIFFERENCES) + 1))
    for row in rows:
        found[bisect_left(DIFFERENCES, row.difference)] += 1
    return tuple(found)


def _more_failures(failures: dict[str, int], failed: list[Half]) -> dict[str, int]:
    more = dict(failures)
    for one in failed:
        code = one.code or str(one.status)
        code = code if code in more or len(more) < CODES_MAX else OTHER
        more[code] = more.get(code, 0) + 1
    return more


def _scored(comparison: Comparison, pairs: list[tuple[Half, Half]]) -> Comparison:
    """Return the comparison with more outputs in its bins, once the live ones have made bins."""
    live = _scores([live for live, _ in pairs])
    shadow = _scores([shadow for _, shadow in pairs])
    scores = comparison.scores
    if not scores.edges:
        return replace(comparison, scores=with_bins(scores, live))
    if not live or not shadow:
        return comparison
    told = shifted(scores, counts(scores, live), counts(scores, shadow), alpha=ALPHA)
    return replace(comparison, scores=told)


def _scores(halves: list[Half]) -> list[float]:
    found = (score for one in halves for score in scores_of(one.outputs))
    return [score for score in found if math.isfinite(score)]


def _timed(comparison: Comparison, pairs: list[tuple[Half, Half]]) -> Comparison:
    live = [max(one.model_ms, FASTEST_MS) for one, _ in pairs]
    shadow = [max(one.model_ms, FASTEST_MS) for _, one in pairs]
    ratios = [math.log(b / a) for a, b in zip(live, shadow, strict=True)]
    return replace(
        comparison,
        live_ms=merged(comparison.live_ms, moments(live)),
        shadow_ms=merged(comparison.shadow_ms, moments(shadow)),
        ratio_ln=merged(comparison.ratio_ln, moments(ratios)),
    )
