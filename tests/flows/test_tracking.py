"""Runs are mirrored to a real MLflow server, and its registry is looked at."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from journeys.house import eventually, free_port, ready_made
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.retraining import RetrainState
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.tracked import RunCopy
from servewell.core.catalog.workload import Artifact, Workload
from servewell.core.catalog.workload_retrain import RetrainRules, Watch
from servewell.core.catalog.workload_tracking import Tracking
from servewell.core.operations.traffic import decide_deploy
from servewell.flows.make_model import make_model
from servewell.flows.platform import Platform
from servewell.flows.release import change_of
from servewell.flows.retrain import remember_workload, retrain_due
from servewell.flows.retrain_watch import look_at_registry
from servewell.flows.tracking import mirror, run_tracking
from servewell.ports.tracking import Place, RegistryVersion, TrackingFailedError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

pytestmark = pytest.mark.enable_socket
PROGRAM: Final = "SERVEWELL_TEST_MLFLOW"
QUICKLY: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # processes of its own that nothing here needs
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a real MLflow server."""
    program = os.environ.get(PROGRAM)
    if not program:
        pytest.skip(f"{PROGRAM} names no program of MLflow; `.ci/mlflow` installs it")
    place, port = tmp_path_factory.mktemp("mlflow"), free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{place}/runs.db"]
    kept = ["--artifacts-destination", str(place / "artifacts")]
    process = subprocess.Popen(
        [program, *words, *stores, *kept],
        cwd=place,
        env={**os.environ, **QUICKLY},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(url), within_s=240)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    import urllib.request  # noqa: PLC0415 - here alone

    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except OSError:
        return False


def workload(tracking: Tracking = Tracking(), **retrain: object) -> Workload:  # noqa: B008 - frozen
    """Return a workload whose model lies ready."""
    return Workload(
        workload="small",
        artifact=Artifact(path="first.onnx"),
        tracking=tracking,
        retrain=RetrainRules(settle_s=0, **retrain),  # type: ignore[arg-type]
    )


def known(platform: Platform, described: Workload, folder: Path) -> KnownWorkload:
    """Return the workload as this home knows it, with its model in its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "first.onnx").write_bytes(ready_made(slope=1.0))
    return remember_workload(platform, described, folder)


def client(url: str) -> "MlflowClient":
    """Return a client of the server, like anybody's."""
    from mlflow import MlflowClient  # noqa: PLC0415 - slow to import

    return MlflowClient(tracking_uri=url, registry_uri=url)


def serve(platform: Platform, version: ModelVersion) -> None:
    """Have an endpoint send all its requests to a version."""
    decision = decide_deploy(Endpoint(name="small", workload="small"), version)
    platform.endpoints.save(decision.endpoint, change_of(platform, decision))


def runs_there(url: str, experiment: str) -> "dict[str, MlflowRun]":
    """Return what an experiment of the server holds, by the id of our run."""
    found = client(url).get_experiment_by_name(experiment)
    assert found is not None
    runs = client(url).search_runs([found.experiment_id])
    assert len({run.data.tags["servewell.run"] for run in runs}) == len(runs)
    return {run.data.tags["servewell.run"]: run for run in runs}


def test_a_run_is_shown_there_once(platform: Platform, server: str, tmp_path: Path) -> None:
    """How it ended, with which code, parameters and metrics, also such as MLflow does not take."""
    described = workload(Tracking(mlflow=server, experiment="runs"))
    one = known(platform, described, tmp_path / "small")
    failed = Run(
        id="r1",
        workload="small",
        state=RunState.FAILED,
        inputs_digest="d",
        started_at=1.0,
        ended_at=2.0,
        commit="abc",
        dirty=True,
        parameters={"depth": 3, "a strange/name!": "x" * 9_000},
        metrics={"auc": 0.75, "lost": float("nan")},
        error="it was out of luck",
    )
    platform.runs.save(failed)
    assert (mirror(platform, one), mirror(platform, one)) == (1, 0)
    shown = runs_there(server, "runs")["r1"]
    assert shown.info.status == "FAILED"
    assert shown.data.params["depth"] == "3"
    assert shown.data.metrics["auc"] == 0.75
    assert shown.data.tags["mlflow.source.git.commit"] == "abc"
    assert shown.data.tags["servewell.dirty"] == "true"
    assert shown.data.tags["servewell.error"] == "it was out of luck"

    (sent,) = platform.mirrors.list(server)
    platform.mirrors.keep(replace(sent, digest=""))  # as if killed before it was remembered
    assert mirror(platform, one) == 1
    assert set(runs_there(server, "runs")) == {"r1"}


def test_a_version_is_registered_there_with_its_files(
    platform: Platform, server: str, tmp_path: Path
) -> None:
    """Artifacts, the model itself, and what it is; the registry's watch does not take it back."""
    described = workload(Tracking(mlflow=server), watch=Watch(mlflow=server))
    one = known(platform, described, tmp_path / "small")
    made = make_model(platform, described, tmp_path / "small", dataset=None, progress=print)
    assert mirror(platform, one) == 1
    there, shown = client(server), runs_there(server, "small")[made.run.id]
    assert shown.info.status == "FINISHED"
    files = {file.path for file in there.list_artifacts(shown.info.run_id)}
    assert files == {"environment.lock", "log.txt", "model"}
    (version,) = there.search_model_versions("name = 'small'")
    assert version.run_id == shown.info.run_id
    assert version.tags["servewell.version"] == "small:1"
    fetched = platform.tracking.fetch(server, "small", 1, to=platform.arrivals.place("x"))
    assert (fetched / "model.onnx").read_bytes() == ready_made(slope=1.0)
    assert platform.tracking.versions(server, "small")[0].ours

    serve(platform, made.version)
    assert mirror(platform, one) == 1
    assert there.get_model_version_by_alias("small", "champion").version == version.version
    assert look_at_registry(platform, one) == ()


def test_a_server_that_is_away_loses_nothing(platform: Platform, tmp_path: Path) -> None:
    """It is said, the run stays as it was, and stays to be sent."""
    away = f"http://127.0.0.1:{free_port()}"
    one = known(platform, workload(Tracking(mlflow=away)), tmp_path / "small")
    run = Run(
        id="r1", workload="small", state=RunState.SUCCEEDED, inputs_digest="d", started_at=1.0
    )
    platform.runs.save(run)
    with pytest.raises(TrackingFailedError, match="SW-435"):
        mirror(platform, one)
    assert platform.mirrors.list(away) == ()
    assert platform.runs.get("r1") == run


@dataclass(slots=True)
class Choosy:
    """`Platform`: that of a home, with a tracking server that does not take some runs."""

    platform: Platform
    refused: tuple[str, ...]
    of_one: bool  # whether that lies in the runs, or in the server
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever port it is
        return getattr(self.platform, name)

    @property
    def tracking(self) -> "Choosy":
        """See `Platform.tracking`."""
        return self

    def mirror(self, url: str, copy: RunCopy, files: Mapping[str, Path]) -> Place:
        """See `Tracking.mirror`."""
        del url, files
        self.asked.append(copy.run)
        if copy.run in self.refused:
            raise TrackingFailedError("no", why="of it", fix="none", of_one=self.of_one)
        return Place(run=copy.run)

    def versions(self, url: str, model: str) -> tuple[RegistryVersion, ...]:
        """See `Tracking.versions`."""
        del url
        self.asked.append(model)
        return ()


def five_runs(platform: Platform) -> None:
    """Keep five runs that ended."""
    for number in range(1, 6):
        run = Run(
            id=f"r{number}",
            workload="small",
            state=RunState.FAILED,
            inputs_digest="d",
            started_at=float(number),
        )
        platform.runs.save(run)


def test_runs_that_a_server_does_not_take_stop_no_others(
    platform: Platform, tmp_path: Path
) -> None:
    """The newest goes first; only a server that is away ends it early."""
    one = known(platform, workload(Tracking(mlflow="http://127.0.0.1:1")), tmp_path / "small")
    five_runs(platform)
    choosy = Choosy(platform, ("r5", "r4", "r3", "r2"), of_one=False)
    with pytest.raises(TrackingFailedError):
        mirror(choosy, one)
    assert choosy.asked == ["r5", "r4", "r3"]
    choosy = Choosy(platform, ("r5", "r4", "r3", "r2"), of_one=True)
    with pytest.raises(TrackingFailedError):
        mirror(choosy, one)
    assert choosy.asked == ["r5", "r4", "r3", "r2", "r1"]
    assert [sent.run for sent in platform.mirrors.list("http://127.0.0.1:1")] == ["r1"]


def test_a_run_that_cannot_be_sent_hides_no_registry(
    platform: Platform, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both are looked at each time."""
    url = "http://127.0.0.1:1"
    known(platform, workload(Tracking(mlflow=url), watch=Watch(mlflow=url)), tmp_path / "small")
    five_runs(platform)
    choosy = Choosy(platform, ("r5",), of_one=True)
    looks = iter((False, True))
    run_tracking(choosy, stopping=lambda: next(looks))
    assert choosy.asked == ["r5", "r4", "r3", "r2", "r1", "small"]
    assert "small: no" in capfd.readouterr().err


def test_a_version_in_a_registry_is_taken_once(
    platform: Platform, server: str, tmp_path: Path
) -> None:
    """What somebody else registers is imported by the path that imports folders of MLflow."""
    there = client(server)
    there.create_registered_model("theirs")
    experiment = there.create_experiment("of others")
    run = there.create_run(experiment).info
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.onnx").write_bytes(ready_made(slope=0.25))
    (model / "MLmodel").write_text("flavors:\n  onnx:\n    data: model.onnx\n")
    there.log_artifacts(run.run_id, str(model), "model")
    there.create_model_version(
        "theirs", f"{run.artifact_uri}/model", run.run_id, await_creation_for=0
    )
    described = workload(watch=Watch(mlflow=server, model="theirs"))
    one = known(platform, described, tmp_path / "small")
    (asked,) = look_at_registry(platform, one)
    assert asked.location == "models:/theirs/1"
    assert look_at_registry(platform, one) == ()

    retrain_due(platform)

    def ended() -> bool:
        return platform.retrainings.get(asked.id).state is not RetrainState.RUNNING

    eventually(ended, within_s=120)
    done = platform.retrainings.get(asked.id)
    log = platform.side_processes.log("retraining", str(asked.id)).read_text()
    assert done.model_version == "small:1", log
    made = platform.registry.get("small", 1)
    assert platform.blobs.read(made.manifest.artifact) == ready_made(slope=0.25)
