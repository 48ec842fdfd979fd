"""Which requests a judge is told of, and as what."""

import math
from typing import Any

import msgspec
import pytest

from servewell.core.catalog.outcome import Outcome
from servewell.core.operations.outcome_batch import (
    SCORES_MAX,
    arm_of,
    batches_of,
    counts,
    scores_of,
)


def outcome(**changes: Any) -> Outcome:  # noqa: ANN401 - fields of any type
    """Return one answered request."""
    plain = Outcome(
        prediction_id="a",
        time_ns=0,
        deployment="stable",
        role="",
        status=200,
        code="",
        snapshot=7,
        rows=1,
        stages_us=(100, 200, 300, 400, 500),
        outputs={"label": [1], "probabilities": [[0.25, 0.75]]},
        inputs={},
        segment="w0",
        sequence=0,
        endpoint="flights",
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({}, True),
        ({"status": 500, "code": "SW-316"}, True),
        ({"status": 503, "code": "SW-360"}, True),
        ({"status": 504, "code": "SW-361"}, True),
        ({"status": 400, "code": "SW-312"}, False),
        ({"status": 429, "code": "SW-320"}, False),
        ({"status": 499, "code": "SW-324"}, False),
        ({"status": 503, "code": "SW-322"}, False),
        ({"status": 503, "code": "SW-315"}, False),
        ({"status": 200, "code": "SW-371", "role": "stopped"}, False),
        ({"status": 500, "code": "SW-316", "role": "stopped"}, False),
        ({"status": 503, "code": "SW-371", "role": "stopped"}, False),
        ({"role": "shadow"}, False),
        ({"role": "pinned"}, False),
    ],
)
def test_counts_what_the_traffic_sent_to_a_model(
    changes: dict[str, Any],
    counted: bool,  # noqa: FBT001 - the expectation
) -> None:
    """Faults of callers, refusals before the model, shadows and pinned requests say nothing."""
    assert counts(outcome(**changes)) is counted


def test_an_arm_tells_errors_from_timeouts_and_invalid_answers() -> None:
    """Each request is one thing; only answered ones have a latency, as the caller waited."""
    arm = arm_of(
        [
            outcome(),
            outcome(status=500, outputs={}),
            outcome(status=504, outputs={}),
            outcome(outputs={"y": [math.nan]}),
            outcome(outputs={"y": [[0.5, math.inf]]}),
        ]
    )
    assert (arm.requests, arm.errors, arm.timeouts, arm.invalid) == (5, 1, 1, 2)
    assert arm.latencies_ms == (1.5, 1.5, 1.5)
    assert arm.scores == (0.75,)


@pytest.mark.parametrize(
    ("outputs", "scores"),
    [
        ({"label": [1, 0], "probabilities": [[0.25, 0.75], [0.5, 0.5]]}, [0.75, 0.5]),
        ({"delay": [12.5]}, [12.5]),
        ({"label": [3]}, [3.0]),
        ({"sure": [True]}, [1.0]),
        ({"label": ["late", "late"]}, [2_226_203_566.0] * 2),
        ({"empty": [], "y": [0.5]}, [0.5]),
        ({}, []),
    ],
)
def test_the_score_is_what_a_model_is_judged_by(
    outputs: dict[str, list[Any]], scores: list[float]
) -> None:
    """A probability before a label, a label by its code, one for each row."""
    found = list(scores_of(outputs))
    if "label" in outputs and isinstance(outputs["label"][0], str):
        assert found[0] == found[1]
    else:
        assert found == scores


def test_scores_are_bounded() -> None:
    """A batch of large requests stays small."""
    arm = arm_of([outcome(rows=500, outputs={"y": [0.5] * 500})] * 100)
    assert len(arm.scores) == SCORES_MAX


def test_only_stretches_in_which_both_had_traffic_count() -> None:
    """By snapshot: those since both have a share, and earlier ones under which both answered."""
    outcomes = [
        outcome(snapshot=5),
        outcome(snapshot=6),
        outcome(snapshot=6, deployment="candidate"),
        outcome(snapshot=8),
        outcome(snapshot=8, deployment="other"),
    ]

    def told(shared_since: int | None) -> list[tuple[int, int]]:
        batches = batches_of(
            outcomes, stable="stable", candidate="candidate", shared_since=shared_since
        )
        return [(one.stable.requests, one.candidate.requests) for one in batches]

    assert told(None) == [(1, 1)]
    assert told(8) == [(1, 1), (1, 0)]
    assert told(9) == [(1, 1)]


def test_what_only_one_of_two_refuses_is_its_own_doing() -> None:
    """By its signature alone, and only where both have traffic; to a deployment alone it is none.

    A caller's other mistakes are refused before any signature, and count nowhere.
    """
    refused = [
        outcome(status=400, code=code, deployment="candidate", outputs={})
        for code in ("SW-313", "SW-327", "SW-312", "SW-329")
    ]
    pinned = outcome(status=400, code="SW-313", deployment="candidate", role="pinned")
    [batch] = batches_of(
        [outcome(), *refused, pinned], stable="stable", candidate="candidate", shared_since=7
    )
    assert (batch.stable.requests, batch.stable.errors) == (1, 0)
    assert (batch.candidate.requests, batch.candidate.errors) == (2, 2)
    assert not any(map(counts, refused))
