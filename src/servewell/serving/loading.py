"""From a snapshot to a table: verify, load, and fall back where something cannot be served."""

from dataclasses import dataclass, field

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.snapshot import Snapshot
from servewell.ports.snapshots import Quarantined
from servewell.serving.crash_notes import MARK_DIGITS
from servewell.serving.metrics import WorkerMeter
from servewell.serving.package import Package, Shelf, load_package
from servewell.serving.runtimes.model import ModelUnusableError
from servewell.serving.runtimes.on_demand import OnDemandModel
from servewell.serving.served import Served, ServedEndpoint, served_endpoint
from servewell.serving.table import Table

Proof = tuple[str, str]  # digest of a package, and the signature under which it was verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A table, and what could not be served of its snapshot."""

    table: Table
    faults: tuple[str, ...]
    retired: tuple[Package, ...]  # no longer used, but by requests that are under way


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One table in the making."""

    endpoints: dict[str, ServedEndpoint] = field(default_factory=dict)
    packages: dict[Proof, Package] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    complete: bool = True
    held_back: bool = False  # whether an endpoint stays as it was


class Loader:
    """Makes tables. Models that are loaded already are kept; those no longer used are let go."""

    def __init__(self, shelf: Shelf, *, meter: WorkerMeter) -> None:
        self._shelf = shelf
        self._meter = meter
        self._packages: dict[Proof, Package] = {}
        self._blamed = dict(shelf.notes.blamed)  # by mark, until it is known which trial it was
        self._refused: dict[tuple[str, int], str] = {}  # package and trial -> why

    def load(self, snapshot: Snapshot, serving: Table) -> Loaded:
        """Return the table of a snapshot.

        An endpoint with traffic to a deployment that cannot be loaded stays as it is `serving`,
        where it is, and the version of the table too, which acknowledges the snapshot; else the
        rest of its deployments take the traffic. The keys are always those
        of the snapshot, so that a revoked key is refused whatever else is wrong.
        """
        attempt = _Attempt()
        for endpoint in snapshot.endpoints:
            self._load_endpoint(endpoint, serving, attempt)
        kept = set(attempt.packages.values())
        retired = [one for one in self._packages.values() if one not in kept]
        self._packages = attempt.packages
        table = Table(
            version=serving.version if attempt.held_back else snapshot.version,
            endpoints=attempt.endpoints,
            grants={grant.id: grant for grant in snapshot.grants},
            complete=attempt.complete,
        )
        return Loaded(table=table, faults=tuple(attempt.faults), retired=tuple(retired))

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """What this worker runs no more."""
        return tuple(
            Quarantined(package=package, trial=trial, because=because)
            for (package, trial), because in self._refused.items()
        )

    @property
    def ailing(self) -> bool:
        """Whether a model has been put in quarantine since the last table."""
        return any(one.quarantine for one in self._packages.values())

    def rest(self) -> None:
        """Let go of the models that are loaded on demand, and idle."""
        for package in tuple(self._packages.values()):
            if isinstance(package.model, OnDemandModel):
                package.model.rest()

    def close(self) -> None:
        """Let go of every model."""
        for package in self._packages.values():
            package.model.close()

    def _load_endpoint(self, endpoint: Endpoint, serving: Table, attempt: _Attempt) -> None:
        served, lacking = [], False
        for deployment in endpoint.deployments if endpoint.loaded else ():
            if deployment.quarantined and not deployment.share_bp:
                continue
            try:
                package = self._package(deployment, endpoint.policy.idle_s, attempt)
            except ModelUnusableError as error:
                attempt.faults.append(f"{error.what} {error.why}.")
                lacking = lacking or deployment.share_bp > 0
                continue
            meter = self._meter.deployment(endpoint.name, deployment.name)
            served.append(Served(endpoint, deployment, package=package, meter=meter))
        before = serving.endpoints.get(endpoint.name)
        if lacking and before is not None and before.ready and not _ails(before):
            attempt.held_back = True
            attempt.endpoints[endpoint.name] = before
            for one in before.deployments.values():
                attempt.packages[one.proof] = one.package
            return
        attempt.complete = attempt.complete and not lacking
        attempt.endpoints[endpoint.name] = served_endpoint(endpoint, served)

    def _package(self, deployment: Deployment, idle_s: float | None, attempt: _Attempt) -> Package:
        proof = (deployment.package, deployment.package_signature)
        package = attempt.packages.get(proof) or self._packages.get(proof)
        self._refuse_quarantined(deployment, package)
        if package is None or package.quarantine or package.idle_s != idle_s:
            package = load_package(deployment, self._shelf, idle_s=idle_s)
        attempt.packages[proof] = package
        return package

    def _refuse_quarantined(self, deployment: Deployment, package: Package | None) -> None:
        """Refuse what has ended its process too often, unless it was deployed again since.

        Raises: ModelUnusableError.
        """
        trial = (deployment.package, deployment.trial)
        because = package.quarantine if package and package.trial == deployment.trial else ""
        because = because or self._blamed.pop(deployment.package[:MARK_DIGITS], "")
        if because:
            self._refused[trial] = because
        refused = deployment.quarantined or self._refused.get(trial)
        if refused:
            raise ModelUnusableError(
                f"The deployment `{deployment.name}` is in quarantine.",
                why=refused,
                fix="correct the model and bring it up as a new version",
            )


def _ails(endpoint: ServedEndpoint) -> bool:
    return any(one.package.quarantine for one in endpoint.deployments.values())
