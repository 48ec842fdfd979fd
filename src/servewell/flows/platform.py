"""Everything that a flow may reach for.

Every flow loads this, and each only the ports that it uses: here they are names for the types.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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


class Platform(Protocol):
    """The ports of one home. Each is opened when it is first used, so a command pays for its own.

    Opening raises what the port raises: a database that is down breaks only what needs it.
    """

    @property
    def principal(self) -> str:
        """Who acts: the user of this machine."""
        ...

    @property
    def clock(self) -> "Clock": ...
    @property
    def ids(self) -> "Ids": ...
    @property
    def blobs(self) -> "Blobs": ...
    @property
    def secrets(self) -> "Secrets": ...
    @property
    def signer(self) -> "Signer": ...
    @property
    def snapshots(self) -> "Snapshots": ...
    @property
    def datasets(self) -> "Datasets": ...
    @property
    def data_sources(self) -> "DataSources": ...
    @property
    def registry(self) -> "Registry": ...
    @property
    def runs(self) -> "Runs": ...
    @property
    def endpoints(self) -> "Endpoints": ...
    @property
    def rollouts(self) -> "Rollouts": ...
    @property
    def experiments(self) -> "Experiments": ...
    @property
    def keys(self) -> "Keys": ...
    @property
    def history(self) -> "History": ...
    @property
    def trainer(self) -> "Trainer": ...
    @property
    def sources(self) -> "Sources": ...
    @property
    def steps(self) -> "Steps": ...
    @property
    def outputs(self) -> "Outputs": ...
    @property
    def pipelines(self) -> "Pipelines": ...
    @property
    def optimiser(self) -> "Optimiser": ...
    @property
    def gates(self) -> "Gates": ...
    @property
    def evaluator(self) -> "Evaluator": ...
    @property
    def environments(self) -> "Environments": ...
    @property
    def records(self) -> "Records": ...
    @property
    def record_queries(self) -> "RecordQueries": ...
    @property
    def explainer(self) -> "Explainer": ...
    @property
    def readings(self) -> "Readings": ...
    @property
    def labels(self) -> "Labels": ...
    @property
    def loss_watches(self) -> "LossWatches": ...
    @property
    def profiles(self) -> "Profiles": ...
    @property
    def profile_parts(self) -> "ProfileParts": ...
    @property
    def reference_damages(self) -> "ReferenceDamages": ...
    @property
    def record_counting(self) -> "RecordCounting": ...
    @property
    def series(self) -> "Series": ...
    @property
    def consent_texts(self) -> "ConsentTexts": ...
    @property
    def feedback(self) -> "FeedbackStore": ...
    @property
    def feedback_inbox(self) -> "FeedbackInbox": ...
    @property
    def shadows(self) -> "Shadows": ...
    @property
    def tables(self) -> "Tables": ...
    @property
    def errands(self) -> "Errands": ...
    @property
    def stops(self) -> "Stops": ...
    @property
    def fleet(self) -> "Fleet": ...
    @property
    def certificates(self) -> "Certificates": ...
    @property
    def load_generator(self) -> "LoadGenerator": ...
    @property
    def machine(self) -> "Machine": ...
    @property
    def project(self) -> "Project": ...
    @property
    def workload_files(self) -> "WorkloadFiles": ...
    @property
    def workloads(self) -> "Workloads": ...
    @property
    def tracking(self) -> "Tracking": ...
    @property
    def mirrors(self) -> "Mirrors": ...
    @property
    def arrivals(self) -> "Arrivals": ...
    @property
    def retrainings(self) -> "Retrainings": ...
    @property
    def alerts(self) -> "Alerts": ...
    @property
    def outbox(self) -> "Outbox": ...
    @property
    def sinks(self) -> "Sinks": ...
    @property
    def side_processes(self) -> "SideProcesses": ...

    def door(self, key: str, *, url: str = "", shown: "CallerCertificate | None" = None) -> "Door":
        """Return the door of what this home serves, or of what serves at `url`.

        An empty `key` is not sent: then the certificate `shown` at `url` says who calls.

        Raises: AddressInvalidError, CertificateFaultsError.
        """
        ...
