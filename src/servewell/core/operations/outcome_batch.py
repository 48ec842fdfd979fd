"""Turn what was recorded of two deployments into what a judge is told.

A request counts when the traffic's draw chose who answers it and the model was, or should have
been, asked. What callers did wrong, what limits or load refused before the model, what a stop
answered, and what a caller sent to a deployment of its own choice says nothing of a model.

Between two deployments more counts: what the signature of the one that was chosen refused. A
caller's own mistake falls on both as often as a request does; what only one of them refuses is its
own doing.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from servewell.core.catalog.judgement import Arm, Batch
from servewell.core.catalog.outcome import Named, Outcome

ROWS_MAX: Final = 100  # of one request, whose outputs are looked at
SCORES_MAX: Final = 5_000  # of one deployment in one batch
ANSWERED: Final = 400  # statuses below are answers
OURS: Final = 500  # statuses from here on are faults of the model or of ours
TIMEOUT: Final = 504
BEFORE_THE_MODEL: Final = frozenset(
    {
        "SW-315",  # nothing of the endpoint was loaded
        "SW-317",  # the record could not be written
        "SW-319",  # the endpoint is unloaded
        "SW-322",  # more waits than can be answered in time
        "SW-325",  # a change was asked for, no prediction
    }
)
BY_THE_SIGNATURE: Final = frozenset(
    {
        "SW-313",  # the inputs do not fit it
        "SW-327",  # an output that cannot be answered as was asked
    }
)


def batches_of(
    outcomes: Iterable[Outcome],
    *,
    stable: str,
    candidate: str,
    shared_since: int | None,
) -> tuple[Batch, ...]:
    """Return a batch for each snapshot under which both were given requests, in their order.

    `shared_since` is the version of the snapshot from which on both have a share of the traffic,
    None where one has none now. Of an earlier snapshot it is known from the records alone: both
    answered under it.
    """
    snapshots: dict[int, tuple[list[Outcome], list[Outcome]]] = {}
    for one in outcomes:
        if _counts_between(one) and one.deployment in (stable, candidate):
            arms = snapshots.setdefault(one.snapshot, ([], []))
            arms[one.deployment == candidate].append(one)
    return tuple(
        Batch(stable=arm_of(ours), candidate=arm_of(theirs))
        for snapshot, (ours, theirs) in snapshots.items()
        if (ours and theirs) or (shared_since is not None and snapshot >= shared_since)
    )


def counts(outcome: Outcome) -> bool:
    """Whether a request says something of the deployment that the traffic chose for it."""
    if outcome.role or outcome.code in BEFORE_THE_MODEL:
        return False
    return outcome.status < ANSWERED or outcome.status >= OURS


def _counts_between(outcome: Outcome) -> bool:
    """Whether a request says something of one of two deployments that share the traffic."""
    return counts(outcome) or (not outcome.role and outcome.code in BY_THE_SIGNATURE)


def arm_of(outcomes: Sequence[Outcome]) -> Arm:
    """Return what one deployment did, of requests that count."""
    answered = [one for one in outcomes if one.status < ANSWERED]
    timeouts = sum(one.status == TIMEOUT for one in outcomes)
    return Arm(
        requests=len(outcomes),
        errors=len(outcomes) - len(answered) - timeouts,
        timeouts=timeouts,
        invalid=sum(map(_is_invalid, answered)),
        latencies_ms=tuple(one.latency_ms for one in answered),
        scores=tuple(islice(_scores(answered), SCORES_MAX)),
    )


def scores_of(answer: Named) -> Iterator[float]:
    """Yield one number for each row: what the model is most likely judged by.

    The first output that is a number with a fraction; of several such in a row, as the
    probabilities of classes are, the last. Where there is none, the first output: a whole number,
    or a code for a text.
    """
    outputs = [values[:ROWS_MAX] for values in answer.values() if values]
    graded = (values for values in outputs if _is_graded(values[0]))
    for value in next(graded, outputs[0] if outputs else []):
        yield _number(value)


def _scores(outcomes: Iterable[Outcome]) -> Iterator[float]:
    return (score for one in outcomes for score in scores_of(one.outputs) if math.isfinite(score))


def _is_graded(value: Any) -> bool:  # noqa: ANN401 - an output of any type
    return isinstance(value, float) or (
        isinstance(value, list) and bool(value) and isinstance(value[-1], float)
    )


def _number(value: Any) -> float:  # noqa: ANN401 - an output of any type
    if isinstance(value, list):
        return _number(value[-1]) if value else math.nan
    if isinstance(value, str):
        return float(zlib.crc32(value.encode()))
    return math.nan if value is None else float(value)


def _is_invalid(outcome: Outcome) -> bool:
    """Whether any number that was answered is none, or infinite."""
    return any(
        not math.isfinite(number)
        for values in outcome.outputs.values()
        for value in values[:ROWS_MAX]
        for number in (value if isinstance(value, list) else (value,))
        if isinstance(number, float)
    )
