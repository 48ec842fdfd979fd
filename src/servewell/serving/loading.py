"""From a snapshot to a table: verify, load, and fall back where something cannot be served."""

from dataclasses import dataclass, field

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.snapshot import Snapshot
from servewell.serving.metrics import WorkerMeter
from servewell.serving.package import Package, Shelf, load_package
from servewell.serving.runtimes.model import ModelUnusableError
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
        retired = [one for proof, one in self._packages.items() if proof not in attempt.packages]
        self._packages = attempt.packages
        table = Table(
            version=serving.version if attempt.held_back else snapshot.version,
            endpoints=attempt.endpoints,
            grants={grant.id: grant for grant in snapshot.grants},
            complete=attempt.complete,
        )
        return Loaded(table=table, faults=tuple(attempt.faults), retired=tuple(retired))

    def close(self) -> None:
        """Let go of every model."""
        for package in self._packages.values():
            package.model.close()

    def _load_endpoint(self, endpoint: Endpoint, serving: Table, attempt: _Attempt) -> None:
        served, lacking = [], False
        for deployment in endpoint.deployments if endpoint.loaded else ():
            try:
                package = self._package(deployment, attempt)
            except ModelUnusableError as error:
                attempt.faults.append(f"{error.what} {error.why}.")
                lacking = lacking or deployment.share_bp > 0
                continue
            meter = self._meter.deployment(endpoint.name, deployment.name)
            served.append(Served(endpoint, deployment, package=package, meter=meter))
        before = serving.endpoints.get(endpoint.name)
        if lacking and before is not None and before.ready:
            attempt.held_back = True
            attempt.endpoints[endpoint.name] = before
            for one in before.deployments.values():
                attempt.packages[one.proof] = one.package
            return
        attempt.complete = attempt.complete and not lacking
        attempt.endpoints[endpoint.name] = served_endpoint(endpoint, served)

    def _package(self, deployment: Deployment, attempt: _Attempt) -> Package:
        proof = (deployment.package, deployment.package_signature)
        package = attempt.packages.get(proof) or self._packages.get(proof)
        if package is None:
            package = load_package(deployment, self._shelf)
        attempt.packages[proof] = package
        return package
