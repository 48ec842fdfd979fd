"""What a look at a rollout takes up, over restarts and compactions, from a real log."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ports.written_log import START_S, Log, answered
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.evidence_cursor import CursorUnreadableError
from servewell.core.catalog.label import Label
from servewell.core.catalog.prediction_record import SHADOW, PredictionRecord
from servewell.core.catalog.rollout import Rollout, RolloutPlan, Stage
from servewell.flows.evidence import observe
from servewell.flows.platform import Platform

ROLLOUT = Rollout(
    id="r1",
    endpoint="flights",
    candidate="v2",
    candidate_version="m:2",
    stable="v1",
    stable_version="m:1",
    plan=RolloutPlan(shadow_bp=10_000),
    stage=Stage.SHIFTING,
    began_at=START_S,
    stage_at=START_S,
    looked_at=START_S,
    because="asked for",
    principal="ada",
)


@pytest.fixture
def log(platform: Platform, tmp_path: Path) -> Log:
    """An endpoint whose requests go to two deployments."""
    change = Change(
        at=0.0, principal="a", kind=ChangeKind.DEPLOYED, subject="flights", because="a test"
    )
    deployments = tuple(
        Deployment(
            name=name, model="m", version=1, package=name, package_signature="s", share_bp=5_000
        )
        for name in ("v1", "v2")
    )
    endpoint = Endpoint(name="flights", workload="flights", deployments=deployments)
    platform.endpoints.save(endpoint, change)
    return Log(platform.records, tmp_path / "home" / "records")


def split(numbers: range) -> Iterator[PredictionRecord]:
    """Yield requests answered in turns; every tenth of the candidate's fails."""
    for number in numbers:
        name = "v2" if number % 2 else "v1"
        fails = number % 20 == 1
        failed = {"status": 500, "code": "SW-316", "outputs": []} if fails else {}
        yield answered(number, deployment=name, **failed)


def test_each_request_is_counted_once(platform: Platform, log: Log) -> None:
    """Also when a look was killed before it was kept, and when segments were compacted."""
    log.write("w0", list(split(range(200))))
    first = observe(platform, ROLLOUT)
    assert first.evidence.requests == (100, 100)
    assert observe(platform, ROLLOUT).evidence == first.evidence  # killed, and done again
    log.compact()
    log.write("w1", list(split(range(200, 400))))
    log.write("w2", [answered(900, deployment="v1", role="pinned"), answered(901, status=429)])
    log.compact()
    second = observe(platform, first)
    assert second.evidence.requests == (200, 200)
    assert second.evidence.failed == (0, 20)
    again = observe(platform, second)
    assert again.evidence.requests == second.evidence.requests


def test_requests_before_the_rollout_do_not_count(platform: Platform, log: Log) -> None:
    """The cursor of a new rollout begins with it."""
    log.write("w0", [msgspec.structs.replace(one, time_ns=1) for one in split(range(50))])
    log.write("w1", list(split(range(50, 100))))
    assert observe(platform, ROLLOUT).evidence.requests == (25, 25)


def test_a_shadow_is_compared_while_it_gets_copies(platform: Platform, log: Log) -> None:
    """With the inputs of the live requests, and only in that stage."""
    copy = {"deployment": "v2", "role": SHADOW, "inputs": []}
    records = [answered(number, deployment="v1") for number in range(10)]
    log.write("w0", [*records, *(msgspec.structs.replace(one, **copy) for one in records)])
    shadowing = observe(platform, replace(ROLLOUT, stage=Stage.SHADOWING))
    assert (shadowing.comparison.requests, shadowing.comparison.differing) == (10, 0)
    assert shadowing.comparison.slices["carrier"]["AA"].rows == 10
    assert observe(platform, ROLLOUT).comparison.requests == 0


def test_labels_give_losses_as_they_arrive(platform: Platform, log: Log) -> None:
    """Of predictions since the rollout began that the traffic sent, each once, of one measure."""
    assert log.ids() == []
    started = observe(platform, ROLLOUT)

    def label(number: int, deployment: str, **changes: Any) -> Label:  # noqa: ANN401 - fields of any type
        plain = Label(
            prediction_id=f"id-{number}",
            row=0,
            endpoint="flights",
            deployment=deployment,
            role="",
            predicted_at=START_S + 1,
            value=1,
            loss=0.5,
            measure="brier",
            added_at=START_S + 1,
            principal="ada",
            source="truth.csv",
        )
        return replace(plain, **changes)

    platform.labels.add([label(n, "v1" if n % 2 else "v2") for n in range(8)])
    platform.labels.add([label(9, "v1", role="pinned"), label(10, "v1", predicted_at=START_S - 9)])
    platform.labels.add([label(11, "v2", measure="wrong"), label(12, "v3", measure="wrong")])
    told = observe(platform, started)
    assert [one.n for one in told.evidence.labelled] == [4, 4]
    assert (told.evidence.loss_measure, told.evidence.unlike) == ("brier", 1)
    assert [one.n for one in observe(platform, told).evidence.labelled] == [4, 4]


def test_a_cursor_that_cannot_be_read_counts_nothing_twice(platform: Platform, log: Log) -> None:
    """To begin anew would add the same requests to the same evidence: it is refused."""
    log.write("w0", list(split(range(20))))
    for cursor in ("{", '{"records": "{"}'):
        with pytest.raises(CursorUnreadableError):
            observe(platform, replace(ROLLOUT, cursor=cursor))


def test_what_is_gone_is_counted(platform: Platform, log: Log) -> None:
    """A gap is said with the comparison, and the rest is taken up."""
    started = observe(platform, ROLLOUT)
    log.write("w0", list(split(range(20))))
    [file] = log.compact()
    (log.folder / file).unlink()
    log.write("w1", list(split(range(20, 40))))
    found = observe(platform, started)
    assert found.evidence.requests == (10, 10)
    assert found.comparison.missing == 20
    assert found.comparison.gaps == ("20 records are past their retention",)
