"""The composition root: the one module that names adapters.

Every import of an adapter stands inside the property that needs it, so that a command loads what
it uses and no more.
"""

import os
import pwd
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from servewell.errors import ServewellError
from servewell.settings import Settings, read_settings

if TYPE_CHECKING:
    from servewell.adapters.embedded.database import Database
    from servewell.ports.alerts import Alerts
    from servewell.ports.arrivals import Arrivals
    from servewell.ports.blobs import Blobs
    from servewell.ports.certificates import Certificates
    from servewell.ports.clock import Clock
    from servewell.ports.data_sources import DataSources
    from servewell.ports.datasets import Datasets
    from servewell.ports.door import CallerCertificate, Door
    from servewell.ports.endpoints import Endpoints
    from servewell.ports.environments import Environments
    from servewell.ports.errands import Errands
    from servewell.ports.evaluator import Evaluator
    from servewell.ports.experiments import Experiments
    from servewell.ports.explainer import Explainer
    from servewell.ports.feedback import ConsentTexts, FeedbackInbox, FeedbackStore
    from servewell.ports.fleet import Fleet
    from servewell.ports.gates import Gates
    from servewell.ports.history import History
    from servewell.ports.ids import Ids
    from servewell.ports.keys import Keys
    from servewell.ports.labels import Labels
    from servewell.ports.load_generator import LoadGenerator
    from servewell.ports.loss_watches import LossWatches
    from servewell.ports.machine import Machine
    from servewell.ports.mirrors import Mirrors
    from servewell.ports.optimiser import Optimiser
    from servewell.ports.outbox import Outbox
    from servewell.ports.outputs import Outputs
    from servewell.ports.pipelines import Pipelines
    from servewell.ports.predictors import Predictors
    from servewell.ports.profiles import ProfileParts, Profiles
    from servewell.ports.project import Project
    from servewell.ports.readings import Readings
    from servewell.ports.record_counting import RecordCounting
    from servewell.ports.record_queries import RecordQueries
    from servewell.ports.records import Records
    from servewell.ports.reference_damages import ReferenceDamages
    from servewell.ports.registry import Registry
    from servewell.ports.retrainings import Retrainings
    from servewell.ports.rollouts import Rollouts
    from servewell.ports.runs import Runs
    from servewell.ports.secrets import Secrets
    from servewell.ports.series import Series
    from servewell.ports.shadows import Shadows
    from servewell.ports.side_processes import SideProcesses
    from servewell.ports.signer import Signer
    from servewell.ports.sinks import Sinks
    from servewell.ports.snapshots import Snapshots
    from servewell.ports.sources import Sources
    from servewell.ports.steps import Steps
    from servewell.ports.stops import Stops
    from servewell.ports.tables import Tables
    from servewell.ports.tracking import Tracking
    from servewell.ports.trainer import Trainer
    from servewell.ports.workload_files import WorkloadFiles
    from servewell.ports.workloads import Workloads

PRIVATE: Final = 0o077  # nothing that Servewell writes is readable by other users
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8_080


class EmbeddedPlatform:
    """`Platform` on one machine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home

    @cached_property
    def principal(self) -> str:
        """See `Platform.principal`."""
        try:  # by the process, not by a variable that anybody may set
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return f"uid-{os.getuid()}"

    @cached_property
    def clock(self) -> "Clock":
        from servewell.adapters.embedded.clock import SystemClock

        return SystemClock()

    @cached_property
    def ids(self) -> "Ids":
        from servewell.adapters.embedded.ids import SystemIds

        return SystemIds()

    @cached_property
    def blobs(self) -> "Blobs":
        from servewell.adapters.embedded.blobs import FileBlobs

        return FileBlobs(self._home / "blobs")

    @cached_property
    def secrets(self) -> "Secrets":
        from servewell.adapters.embedded.secrets import FileSecrets

        return FileSecrets(self._home / "keys")

    @cached_property
    def signer(self) -> "Signer":
        from servewell.adapters.embedded.signer import HomeSigner

        return HomeSigner(self.secrets)

    @cached_property
    def snapshots(self) -> "Snapshots":
        from servewell.adapters.embedded.snapshots import FileSnapshots

        return FileSnapshots(
            self._home / "snapshot", reports=self._home / "run", signer=self.signer
        )

    @cached_property
    def _database(self) -> "Database":
        from servewell.adapters.embedded.database import open_database

        database = open_database(self._settings.database_url)
        database.migrate()
        return database

    @cached_property
    def datasets(self) -> "Datasets":
        from servewell.adapters.embedded.datasets import SqlDatasets

        return SqlDatasets(self._database)

    @cached_property
    def data_sources(self) -> "DataSources":
        from servewell.adapters.embedded.data_sources import FileDataSources

        return FileDataSources(self._home / "scratch", os.environ)

    @cached_property
    def registry(self) -> "Registry":
        from servewell.adapters.embedded.registry import SqlRegistry

        return SqlRegistry(self._database)

    @cached_property
    def runs(self) -> "Runs":
        from servewell.adapters.embedded.runs import SqlRuns

        return SqlRuns(self._database)

    @cached_property
    def endpoints(self) -> "Endpoints":
        from servewell.adapters.embedded.endpoints import SqlEndpoints

        return SqlEndpoints(self._database)

    @cached_property
    def rollouts(self) -> "Rollouts":
        from servewell.adapters.embedded.rollouts import SqlRollouts

        return SqlRollouts(self._database)

    @cached_property
    def experiments(self) -> "Experiments":
        from servewell.adapters.embedded.experiments import SqlExperiments

        return SqlExperiments(self._database)

    @cached_property
    def keys(self) -> "Keys":
        from servewell.adapters.embedded.keys import SqlKeys

        return SqlKeys(self._database)

    @cached_property
    def history(self) -> "History":
        from servewell.adapters.embedded.history import SqlHistory

        return SqlHistory(self._database)

    @cached_property
    def trainer(self) -> "Trainer":
        from servewell.adapters.embedded.trainer import ProcessTrainer

        return ProcessTrainer(self._home / "runs")

    @cached_property
    def sources(self) -> "Sources":
        from servewell.adapters.embedded.sources import FolderSources

        return FolderSources()

    @cached_property
    def steps(self) -> "Steps":
        from servewell.adapters.embedded.steps import ProcessSteps

        return ProcessSteps(self._home / "runs")

    @cached_property
    def outputs(self) -> "Outputs":
        from servewell.adapters.embedded.outputs import BlobOutputs

        return BlobOutputs(self.blobs)

    @cached_property
    def pipelines(self) -> "Pipelines":
        from servewell.adapters.embedded.pipelines import SqlPipelines

        return SqlPipelines(self._database)

    @cached_property
    def optimiser(self) -> "Optimiser":
        from servewell.adapters.embedded.optimiser import ProcessOptimiser

        return ProcessOptimiser(self._home / "runs", self.trainer.environment)

    @cached_property
    def gates(self) -> "Gates":
        from servewell.adapters.embedded.gates import SqlGates

        return SqlGates(self._database)

    @cached_property
    def evaluator(self) -> "Evaluator":
        from servewell.adapters.embedded.evaluator import ProcessEvaluator

        return ProcessEvaluator(self._home / "runs", self.trainer.environment)

    @cached_property
    def environments(self) -> "Environments":
        from servewell.adapters.embedded.predictor.environments import FolderEnvironments

        return FolderEnvironments(self._home / "environments")

    @cached_property
    def predictors(self) -> "Predictors":
        from servewell.adapters.embedded.predictor.packages import ProcessPredictors

        return ProcessPredictors(self._home)

    @cached_property
    def profiles(self) -> "Profiles":
        from servewell.adapters.embedded.monitoring.profiles import SqlProfiles

        return SqlProfiles(self._database, self.clock)

    @cached_property
    def record_counting(self) -> "RecordCounting":
        from servewell.adapters.embedded.monitoring.record_counting import FileRecordCounting

        return FileRecordCounting(self._home / "records")

    @cached_property
    def profile_parts(self) -> "ProfileParts":
        from servewell.adapters.embedded.monitoring.profiles import SqlProfiles

        return SqlProfiles(self._database, self.clock)

    @cached_property
    def reference_damages(self) -> "ReferenceDamages":
        from servewell.adapters.embedded.monitoring.reference_damages import SqlReferenceDamages

        return SqlReferenceDamages(self._database)

    @cached_property
    def labels(self) -> "Labels":
        from servewell.adapters.embedded.labels import SqlLabels

        return SqlLabels(self._database)

    @cached_property
    def loss_watches(self) -> "LossWatches":
        from servewell.adapters.embedded.monitoring.loss_watches import SqlLossWatches

        return SqlLossWatches(self._database)

    @cached_property
    def series(self) -> "Series":
        from servewell.adapters.embedded.monitoring.series import SqlSeries

        return SqlSeries(self._database)

    @cached_property
    def consent_texts(self) -> "ConsentTexts":
        from servewell.adapters.embedded.monitoring.feedback import SqlConsentTexts

        return SqlConsentTexts(self._database)

    @cached_property
    def feedback(self) -> "FeedbackStore":
        from servewell.adapters.embedded.monitoring.feedback import SqlFeedback

        return SqlFeedback(self._database)

    @cached_property
    def feedback_inbox(self) -> "FeedbackInbox":
        from servewell.adapters.embedded.monitoring.feedback_inbox import FolderFeedbackInbox

        return FolderFeedbackInbox(self._home / "feedback")

    @cached_property
    def shadows(self) -> "Shadows":
        from servewell.adapters.embedded.shadows import SqlShadows

        return SqlShadows(self._database)

    @cached_property
    def records(self) -> "Records":
        from servewell.adapters.embedded.records import FileRecords

        return FileRecords(self._home / "records")

    @cached_property
    def readings(self) -> "Readings":
        from servewell.adapters.embedded.monitoring.readings import FileReadings

        return FileReadings(self._home / "run")

    @cached_property
    def record_queries(self) -> "RecordQueries":
        from servewell.adapters.embedded.analysis.record_queries import ProcessRecordQueries

        return ProcessRecordQueries(self._home / "records", self._home / "scratch")

    @cached_property
    def explainer(self) -> "Explainer":
        from servewell.adapters.embedded.analysis.explainer import ProcessExplainer

        return ProcessExplainer(self._home / "scratch")

    @cached_property
    def tables(self) -> "Tables":
        from servewell.adapters.embedded.tables import FileTables

        return FileTables()

    @cached_property
    def errands(self) -> "Errands":
        from servewell.adapters.embedded.errands import FileErrands

        return FileErrands(self._home / "run" / "errands")

    @cached_property
    def stops(self) -> "Stops":
        from servewell.adapters.embedded.stops import FileStops

        return FileStops(self._home / "stops", signer=self.signer)

    @cached_property
    def fleet(self) -> "Fleet":
        from servewell.adapters.embedded.fleet import ProcessFleet

        return ProcessFleet(self._home, clock=self.clock)

    @cached_property
    def certificates(self) -> "Certificates":
        from servewell.adapters.embedded.certificates import FileCertificates

        return FileCertificates(self._home / "tls", clock=self.clock)

    @cached_property
    def machine(self) -> "Machine":
        from servewell.adapters.embedded.machine import LocalMachine

        return LocalMachine(self._home)

    @cached_property
    def project(self) -> "Project":
        from servewell.adapters.embedded.project import FolderProject

        return FolderProject()

    @cached_property
    def workload_files(self) -> "WorkloadFiles":
        from servewell.adapters.embedded.workload_files import YamlWorkloadFiles

        return YamlWorkloadFiles()

    @cached_property
    def workloads(self) -> "Workloads":
        from servewell.adapters.embedded.workloads import SqlWorkloads

        return SqlWorkloads(self._database)

    @cached_property
    def tracking(self) -> "Tracking":
        from servewell.adapters.embedded.mlflow_server import MlflowServers

        return MlflowServers()

    @cached_property
    def mirrors(self) -> "Mirrors":
        from servewell.adapters.embedded.mirrors import SqlMirrors

        return SqlMirrors(self._database)

    @cached_property
    def arrivals(self) -> "Arrivals":
        from servewell.adapters.embedded.arrivals import FileArrivals

        return FileArrivals(self._home / "arrivals")

    @cached_property
    def retrainings(self) -> "Retrainings":
        from servewell.adapters.embedded.retrainings import SqlRetrainings

        return SqlRetrainings(self._database)

    @cached_property
    def alerts(self) -> "Alerts":
        from servewell.adapters.embedded.monitoring.alerts import SqlAlerts

        return SqlAlerts(self._database)

    @cached_property
    def outbox(self) -> "Outbox":
        from servewell.adapters.embedded.monitoring.outbox import SqlOutbox

        return SqlOutbox(self._database)

    @cached_property
    def sinks(self) -> "Sinks":
        from servewell.adapters.embedded.alerting.sinks import NetworkSinks

        return NetworkSinks()

    @cached_property
    def side_processes(self) -> "SideProcesses":
        from servewell.adapters.embedded.side_processes import LocalSideProcesses

        return LocalSideProcesses(self._home)

    @cached_property
    def load_generator(self) -> "LoadGenerator":
        from servewell.adapters.embedded.load.generator import ProcessLoadGenerator

        return ProcessLoadGenerator()

    def door(self, key: str, *, url: str = "", shown: "CallerCertificate | None" = None) -> "Door":
        """See `Platform.door`."""
        from servewell.adapters.embedded.door import HttpDoor, door_at
        from servewell.adapters.embedded.trust import trust_elsewhere, trust_in_home

        plan = self.fleet.state().plan
        if url:
            own = self._home / "tls" / "ca.pem"
            return door_at(url, key, trust=trust_elsewhere(own, shown=shown))
        if plan is None:
            return HttpDoor(DEFAULT_HOST, DEFAULT_PORT, key)
        trust = None if plan.tls is None else trust_in_home(plan.tls)
        return door_at(plan.origin, key, trust=trust)


def open_platform(home: Path | None = None) -> EmbeddedPlatform:
    """Return the platform of a home: the `--home` flag, else the environment, else the default.

    Raises: SettingsError.
    """
    return EmbeddedPlatform(read_settings(os.environ, home=home))


def worker(arguments: list[str]) -> int:
    """Run a worker: `HOME INDEX LISTENER PLAN [PULSE]`, where PLAN is the supervisor's, as JSON."""
    import msgspec

    from servewell.ports.fleet import FleetPlan
    from servewell.serving.worker import WorkerParts, serve

    home, index, listener, written, *pulse = arguments
    plan = msgspec.json.decode(written, type=FleetPlan)
    platform = open_platform(Path(home))
    return serve(
        WorkerParts(
            index=int(index),
            listener=socket.socket(fileno=int(listener)),
            snapshots=platform.snapshots,
            blobs=platform.blobs,
            signer=platform.signer,
            predictors=platform.predictors,
            secrets=platform.secrets,
            clock=platform.clock,
            errands=platform.errands,
            stops=platform.stops,
            feedback=platform.feedback_inbox,
            records=Path(home) / "records" / "live",
            runtime_dir=Path(home) / "run",
            pulse=int(pulse[0]) if pulse else None,
            drain_s=plan.drain_s,
            lame_duck_s=plan.lame_duck_s,
            connections_max=plan.connections_max,
            tls=plan.tls,
            record_bytes_max=plan.record_bytes_max,
            telemetry=plan.telemetry,
        )
    )


def control(arguments: list[str]) -> int:
    """Run the control process: `HOME`."""
    from servewell.adapters.embedded.background import collect_seldom, let_others_go_first
    from servewell.adapters.embedded.type_building import build_types
    from servewell.flows.control import run_control

    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: stopped.append(received))  # noqa: ARG005 - the signal's own
    build_types()
    collect_seldom()
    platform = open_platform(Path(arguments[0]))
    with _metrics_export(Path(arguments[0]) / "run", platform.clock):
        run_control(platform, stopping=lambda: bool(stopped), unhurried=let_others_go_first)
    return 0


@contextmanager
def _metrics_export(folder: Path, clock: "Clock") -> Iterator[None]:
    """Send metrics to the collector that the environment names, if it names one.

    That they cannot be sent is said, and keeps nothing else from being done.
    """
    exporter = None
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        try:
            from servewell.serving.telemetry.metrics_export import open_metrics_export

            exporter = open_metrics_export(folder, now=clock.now)
        except (ImportError, OSError, ServewellError) as error:
            sys.stderr.write(f"metrics by OTLP: {error}\n")
    try:
        yield
    finally:
        if exporter is not None:
            exporter.close()


def supervisor(arguments: list[str]) -> int:
    """Run the supervisor: `HOME`."""
    from servewell.adapters.embedded.supervisor import supervise

    platform = open_platform(Path(arguments[0]))
    return supervise(Path(arguments[0]), platform.snapshots)


def job(arguments: list[str]) -> int:
    """Run a job that makes or tries a model: `FOLDER`."""
    from servewell.adapters.embedded.job.process import main as run_job

    def time_stages(*parts: Any) -> Any:  # noqa: ANN401 - as the job calls it
        from servewell.serving.stage_times import time_stages as timed

        return timed(*parts)

    return run_job(Path(arguments[0]), time_stages)


def analysis(arguments: list[str]) -> int:
    """Answer what a person asks of the prediction log: `FOLDER`."""
    from servewell.adapters.embedded.analysis.process import main as run_analysis

    return run_analysis(Path(arguments[0]))


def load(_: list[str]) -> int:
    """Send the load that is told on standard input."""
    from servewell.adapters.embedded.load.process import main as send

    return send()


def retraining(arguments: list[str]) -> int:
    """Run a retraining: `HOME NUMBER ATTEMPT`."""
    from servewell.adapters.embedded.job.bounds import end_before_who_serves
    from servewell.flows.retraining import train_again

    end_before_who_serves()
    number, attempt = (int(one) for one in arguments[1:])
    return train_again(open_platform(Path(arguments[0])), number, attempt=attempt, pid=os.getpid())


def tracking(arguments: list[str]) -> int:
    """Mirror runs, and look at the registries of others, for as long as control lives: `HOME`."""
    from servewell.flows.tracking import run_tracking

    control = os.getppid()
    run_tracking(open_platform(Path(arguments[0])), stopping=lambda: os.getppid() != control)
    return 0


PROCESSES: Final[dict[str, Callable[[list[str]], int]]] = {
    "worker": worker,
    "control": control,
    "supervisor": supervisor,
    "job": job,
    "analysis": analysis,
    "load": load,
    "retraining": retraining,
    "tracking": tracking,
}


def main() -> None:
    """Run the command line, or the process that the first word names."""
    os.umask(PRIVATE)
    arguments = sys.argv[1:]
    if arguments and arguments[0] in PROCESSES:
        sys.exit(PROCESSES[arguments[0]](arguments[1:]))
    from servewell.cli.app import run

    sys.exit(run(open_platform, arguments))
