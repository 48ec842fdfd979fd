"""Tracking servers of MLflow, spoken to by its own client.

It is used in the process of the mirror and in that of a retraining alone: it is large, and waits
for as long as a server lets it.

Source: MLflow 3.17, `mlflow/tracking/client.py`, `mlflow/models/model.py`.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from servewell.core.catalog.run import RunState
from servewell.core.catalog.tracked import CHAMPION, RunCopy
from servewell.ports.tracking import Place, RegistryVersion, TrackingFailedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

BOUNDS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # whoever asks tries again by itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
STATES: Final = {
    RunState.RUNNING: "RUNNING",
    RunState.SUCCEEDED: "FINISHED",
    RunState.FAILED: "FAILED",
    RunState.INTERRUPTED: "KILLED",
}
OF_ONE: Final = (400, 404, 409, 413, 422)  # answers that lie in what was sent
OUR_RUN: Final = "servewell.run"
MODEL: Final = "model"  # folder of the model among a run's artifacts
BATCH_MAX: Final = 100  # parameters that a server takes at once
VALUE_MAX: Final = 5_000  # characters of a tag or a parameter; servers take 6,000 and 8,000
FORBIDDEN: Final = re.compile(r"[^\w\-./ ]", re.ASCII)  # in the names of parameters and metrics


class MlflowServers:
    """`Tracking` by MLflow."""

    def mirror(self, url: str, copy: RunCopy, files: Mapping[str, Path]) -> Place:
        """See `Tracking.mirror`."""
        with _speaking(url) as client:
            run = _ensure_run(client, copy)
            _tell(client, run, copy)
            with tempfile.TemporaryDirectory() as place:
                _log_files(client, run, Path(place), files)
            version = _ensure_version(client, run, copy, files) if copy.model else ""
            _end(client, run, copy)
        return Place(run=run, version=version)

    def versions(self, url: str, model: str) -> tuple[RegistryVersion, ...]:
        """See `Tracking.versions`."""
        with _speaking(url) as client:
            found = client.search_model_versions(f"name = '{model}'", max_results=1_000)
            versions = [
                RegistryVersion(number=int(one.version), ours=OUR_RUN in one.tags) for one in found
            ]
        return tuple(sorted(versions, key=lambda one: one.number))

    def fetch(self, url: str, model: str, number: int, *, to: Path) -> Path:
        """See `Tracking.fetch`."""
        with _speaking(url) as client:
            from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - slow to import

            source = client.get_model_version_download_uri(model, str(number))
            return Path(download_artifacts(source, dst_path=str(to), tracking_uri=url))


@contextmanager
def _speaking(url: str) -> "Iterator[MlflowClient]":
    """Give a client of a server; whatever it meets is one error, also a fault of the client."""
    for name, value in BOUNDS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - slow to import, and an extra
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
    except ImportError as error:
        raise TrackingFailedError(
            "MLflow is not installed.",
            why="its client speaks with tracking servers and registries",
            fix="pip install 'servewell[mlflow]'",
        ) from error
    try:
        yield MlflowClient(tracking_uri=url, registry_uri=url)
    except Exception as error:  # a library that is not ours stumbles over anything
        if isinstance(error, MlflowException):
            status = error.get_http_status_code()  # type: ignore[no-untyped-call]  # MLflow's
            of_one = status in OF_ONE
        else:
            of_one = not isinstance(error, OSError)
        raise TrackingFailedError(
            f"The MLflow server at {url} did not do what was asked of it.",
            why=_first_line(error),
            fix="see to the server, the network, and the variables of MLflow that hold a token or "
            "a password; it is tried again",
            of_one=of_one,
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:500] or type(error).__name__


def _ensure_run(client: "MlflowClient", copy: RunCopy) -> str:
    """Return the id of the run there; it is made where it lacks."""
    experiment = _ensure_experiment(client, copy.experiment)
    same = f"tags.`{OUR_RUN}` = '{copy.run}'"
    if found := client.search_runs([experiment], same, max_results=1):
        return str(found[0].info.run_id)
    made = client.create_run(
        experiment,
        start_time=int(copy.started_at * 1_000),
        tags={OUR_RUN: copy.run},
        run_name=f"{copy.workload} {copy.run[:16]}",
    )
    return str(made.info.run_id)


def _ensure_experiment(client: "MlflowClient", name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _tell(client: "MlflowClient", run: str, copy: RunCopy) -> None:
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - slow to import

    at = int((copy.ended_at or copy.started_at) * 1_000)
    params = [Param(_name(key), _value(value)) for key, value in copy.parameters.items()]
    tags = [RunTag(key, _value(value)) for key, value in copy.tags.items()]
    metrics = [Metric(_name(key), value, at, 0) for key, value in copy.metrics.items()]
    client.log_batch(run, metrics=metrics[:BATCH_MAX], tags=tags)
    for start in range(0, len(params), BATCH_MAX):
        client.log_batch(run, params=params[start : start + BATCH_MAX])
    for start in range(BATCH_MAX, len(metrics), BATCH_MAX):
        client.log_batch(run, metrics=metrics[start : start + BATCH_MAX])


def _name(name: str) -> str:
    return FORBIDDEN.sub("_", name)[:250]


def _value(value: object) -> str:
    return str(value)[:VALUE_MAX]


def _log_files(client: "MlflowClient", run: str, place: Path, files: Mapping[str, Path]) -> None:
    wanted = {name: path for name, path in files.items() if name != MODEL}
    for name, path in wanted.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(path)
    if wanted:
        client.log_artifacts(run, str(place))


def _ensure_version(
    client: "MlflowClient", run: str, copy: RunCopy, files: Mapping[str, Path]
) -> str:
    """Return the number of the version there; its files are whole before it is registered."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - slow to import

    found = client.search_model_versions(f"run_id = '{run}'", max_results=1)
    if found:
        version = str(found[0].version)
    else:
        with tempfile.TemporaryDirectory() as place:
            _write_model(Path(place), run, copy, files[MODEL])
            client.log_artifacts(run, place, MODEL)
        try:
            client.create_registered_model(copy.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{client.get_run(run).info.artifact_uri}/{MODEL}"
        made = client.create_model_version(
            copy.model, source, run, tags={OUR_RUN: copy.run, **copy.tags}, await_creation_for=0
        )
        version = str(made.version)
    if copy.champion:
        client.set_registered_model_alias(copy.model, CHAMPION, version)
    return version


def _write_model(place: Path, run: str, copy: RunCopy, artifact: Path) -> None:
    """Write the folder that MLflow loads a model from."""
    from mlflow.models import Model  # noqa: PLC0415 - slow to import

    name = "model.onnx" if copy.runtime == "onnx" else "predictor.zip"
    (place / name).symlink_to(artifact)
    model = Model(artifact_path=MODEL, run_id=run)
    if copy.runtime == "onnx":
        model.add_flavor("onnx", data=name)
        model.add_flavor("python_function", loader_module="mlflow.onnx", data=name)
    else:
        model.add_flavor("servewell", data=name)
    model.save(str(place / "MLmodel"))


def _end(client: "MlflowClient", run: str, copy: RunCopy) -> None:
    if copy.ended_at is not None:
        end = int(copy.ended_at * 1_000)
        client.set_terminated(run, STATES[copy.state], end_time=end)
