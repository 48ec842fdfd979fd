"""A candidate that gets copies of live requests, and whose answers nobody gets."""

import time
from collections.abc import Callable

import pytest

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint, EndpointPolicy, Shadow
from servewell.core.catalog.prediction_record import PredictionRecord
from serving.home import Home, flight_model, request

pytestmark = pytest.mark.enable_socket

INFER = "/v2/models/flights/infer"


def publish(home: Home, *deployments: Deployment, share_bp: int = BP_FULL) -> str:
    """Publish an endpoint with a shadow, `candidate`; return a key of it."""
    key, grant = home.key()
    endpoint = Endpoint(
        name="flights",
        workload="flights",
        deployments=deployments,
        policy=EndpointPolicy(),
        shadow=Shadow(deployment="candidate", share_bp=share_bp),
    )
    home.publish_endpoints((endpoint,), (grant,))
    return key


def shadows(home: Home) -> list[PredictionRecord]:
    """Return the records of copies."""
    return [one for one in home.records(torn=True) if one.role == "shadow"]


def wait_for(found: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(500):
        if found():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about in time")


def test_copies_go_to_the_candidate_and_its_answers_to_the_records_alone(home: Home) -> None:
    """Callers get the live answer; the record of the copy has the id of the live one."""
    live = home.deployment("live", flight_model(2.0))
    candidate = home.deployment("candidate", flight_model(3.0), version=2, share_bp=0)
    key = publish(home, live, candidate)
    with home.process():
        home.wait_for_snapshot()
        replies = [home.send("POST", INFER, key=key, body=request()) for _ in range(5)]
        wait_for(lambda: len(shadows(home)) == 5)
    assert {one.headers["servewell-deployment"] for one in replies} == {"live"}
    answers = [one for one in home.records() if not one.role]
    copies = shadows(home)
    assert {one.prediction_id for one in copies} == {one.prediction_id for one in answers}
    assert {one.deployment for one in copies} == {"candidate"}
    assert [one.outputs for one in copies] == [[[16.0], ["AA"]]] * 5
    assert [one.inputs for one in copies] == [[]] * 5
    assert {one.status for one in copies} == {200}
    assert all(one.stages_us[3] > 0 for one in copies)
