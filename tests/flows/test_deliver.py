"""What is delivered takes over nothing but by the gates and a rollout, and of its own endpoint."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from journeys.house import eventually, write_ready_made
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.operations.clearance import Clearance
from servewell.core.operations.traffic import decide_deploy
from servewell.flows.bring_up import bring_up
from servewell.flows.deliver import Delivered, EndpointTakenError, deliver
from servewell.flows.make_model import make_model
from servewell.flows.platform import Platform
from servewell.flows.release import change_of
from servewell.flows.retrain import remember_workload


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a workload with two models that lie ready."""
    write_ready_made(tmp_path / "small", port=1)
    return tmp_path / "small"


def delivered(platform: Platform, described: Workload, folder: Path) -> Delivered:
    """Deliver a workload."""
    return deliver(platform, described, folder, because="a test", progress=print)


def serve(platform: Platform, version: ModelVersion, *, workload: str) -> Endpoint:
    """Have the endpoint `small` of a workload send all its requests to a version."""
    decision = decide_deploy(Endpoint(name="small", workload=workload), version)
    return platform.endpoints.save(decision.endpoint, change_of(platform, decision))


def test_a_refused_workload_never_takes_over_the_endpoint_of_another(
    platform: Platform, endpoint: Endpoint, folder: Path
) -> None:
    """Its `up` is refused and forgotten; where it is remembered, a delivery of it is refused."""
    assert endpoint.name == "flights"
    theirs = serve(platform, platform.registry.get("flights", 1), workload="theirs")
    described, _ = platform.workload_files.read(folder)
    with pytest.raises(EndpointTakenError, match="`theirs`"):
        bring_up(platform, described, folder, report=print)
    assert platform.workloads.list() == ()
    remember_workload(platform, described, folder)
    with pytest.raises(EndpointTakenError):
        delivered(platform, described, folder)
    assert platform.endpoints.get("small") == theirs
    assert platform.registry.list("small") == ()


def test_a_version_that_cannot_be_rolled_out_now_is_kept_and_named(
    platform: Platform, folder: Path
) -> None:
    """While another rollout is open: the words say which version it is, and the next command."""
    described, _ = platform.workload_files.read(folder)
    first = delivered(platform, described, folder)
    assert first.clearance is Clearance.SERVE
    assert "nothing serves yet: `servewell up" in first.because
    serve(platform, first.version, workload="small")
    other = replace(described, artifact=Artifact(path="second.onnx"))
    assert delivered(platform, other, folder).rollout is not None
    again = delivered(platform, other, folder)
    assert (again.rollout, again.version.name) == (None, "small:2")
    assert "has a rollout that has not ended" in again.because
    assert "servewell rollouts start small small:2" in again.because


def test_a_model_is_made_once_by_two_who_want_it_at_once(platform: Platform, folder: Path) -> None:
    """The second waits, says so, and finds it made."""
    described, _ = platform.workload_files.read(folder)
    said: list[str] = []

    def make() -> str:
        made = make_model(platform, described, folder, dataset=None, progress=said.append)
        return made.version.name

    with ThreadPoolExecutor(2) as two:
        with platform.steps.held("making-small"):
            both = [two.submit(make) for _ in range(2)]
            eventually(lambda: sum("waiting: " in one for one in said) == 2, within_s=10)
            assert platform.runs.list() == ()
        assert [one.result() for one in both] == ["small:1", "small:1"]
    assert len(platform.runs.list()) == 1
