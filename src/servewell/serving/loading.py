"""From a snapshot to a table: verify, load, and fall back where something cannot be served."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.snapshot import Snapshot
from servewell.ports.snapshots import Quarantined
from servewell.serving.crash_notes import MARK_DIGITS
from servewell.serving.metrics import WorkerMeter
from servewell.serving.package import Package, Shelf, load_package
from servewell.serving.runtimes.model import ModelUnusableError
from servewell.serving.runtimes.on_demand import OnDemandModel
from servewell.serving.served import Served, ServedEndpoint, served_endpoint
from servewell.serving.stopping import Stopping
from servewell.serving.table import Table

# Digest of a package, the signature under which it was verified, when it goes, and which trial.
Key = tuple[str, str, float | None, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A table, and what is not served of its snapshot."""

    table: Table
    faults: tuple[str, ...]
    pending: bool  # whether something has yet to be loaded


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One table in the making."""

    tried: bool  # whether all that the snapshot needs was tried to be loaded
    endpoints: dict[str, ServedEndpoint] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    complete: bool = True
    held_back: bool = False  # whether an endpoint stays as it was
    pending: bool = False


class Loader:
    """Loads what snapshots need, and makes their tables of what is loaded.

    Loading may take minutes and is done in a thread; a table is made on the loop, at any time.
    """

    def __init__(self, shelf: Shelf, *, meter: WorkerMeter) -> None:
        self.stopping = Stopping(shelf, meter=meter)
        self._shelf = shelf
        self._meter = meter
        self._packages: dict[Key, Package] = {}
        self._faults: dict[Key, str] = {}  # why it could not be loaded the last time
        self._tried: Snapshot | None = None
        self._blamed = dict(shelf.notes.blamed)  # by mark, until it is known which trial it was
        self._refused: dict[tuple[str, int], str] = {}  # package and trial -> why
        self._closed = False

    def load(self, snapshot: Snapshot) -> None:
        """Load what a snapshot needs and is not loaded. In a thread, one at a time."""
        for endpoint, deployment in _needed(snapshot):
            if self._refusal(deployment) or self._closed:
                continue
            key = _key(endpoint, deployment)
            try:
                if key not in self._packages:
                    idle_s = endpoint.policy.idle_s
                    self._packages[key] = load_package(deployment, self._shelf, idle_s=idle_s)
                self._faults.pop(key, None)
            except ModelUnusableError as error:
                self._faults[key] = f"{error.what} {error.why}."
        self._tried = snapshot
        if self._closed:
            self.close()

    def table(self, snapshot: Snapshot, serving: Table) -> Loaded:
        """Return the table of a snapshot, made of what is loaded by now.

        An endpoint with traffic to a deployment that is not loaded yet, or cannot be, stays as it
        is `serving`, where it is; where that can be waited for no more, the rest of its deployments
        take the traffic. Meanwhile the version of the table stays too, which acknowledges the
        snapshot. The keys and limits are always those of the snapshot, so that a revoked key is
        refused whatever else is wrong.
        """
        for one in tuple(self._packages.values()):
            if one.quarantine:
                self._refused[one.digest, one.trial] = one.quarantine
        attempt = _Attempt(tried=snapshot is self._tried)
        for endpoint in snapshot.endpoints:
            self._serve(endpoint, serving.endpoints.get(endpoint.name), attempt)
            self._stop(endpoint, attempt)
        behind = attempt.held_back or attempt.pending
        table = Table(
            version=serving.version if behind else snapshot.version,
            endpoints=attempt.endpoints,
            grants={grant.id: grant for grant in snapshot.grants},
            complete=attempt.complete,
        )
        return Loaded(table=table, faults=tuple(attempt.faults), pending=attempt.pending)

    def retire(self, snapshot: Snapshot, table: Table) -> list[Package]:
        """Give up what neither needs any more; requests that are under way may still use it."""
        deployments = (one.deployments.values() for one in table.endpoints.values())
        served = {one.package for some in deployments for one in some}
        needed = {_key(*one) for one in _needed(snapshot)}
        self._faults = {key: why for key, why in self._faults.items() if key in needed}
        gone = [
            key
            for key, one in self._packages.items()
            if one not in served and (key not in needed or one.quarantine)
        ]
        return [self._packages.pop(key) for key in gone]

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """What this worker runs no more."""
        return tuple(
            Quarantined(package=package, trial=trial, because=because)
            for (package, trial), because in tuple(self._refused.items())
        )

    @property
    def ailing(self) -> bool:
        """Whether a model has been put in quarantine since the last table."""
        return any(
            one.quarantine and (one.digest, one.trial) not in self._refused
            for one in tuple(self._packages.values())
        )

    @property
    def memory_bytes(self) -> int:
        """Return what the processes of predictors hold, which are not the worker's own."""
        return sum(one.memory_bytes for one in tuple(self._packages.values()))

    def rest(self) -> None:
        """Let go of the models that are loaded on demand, and idle."""
        for package in tuple(self._packages.values()):
            if isinstance(package.model, OnDemandModel):
                package.model.rest()

    def close(self) -> None:
        """Let go of every model, also of one that is being loaded."""
        self._closed = True
        for host in tuple(self._shelf.starting):
            host.kill()
        for package in tuple(self._packages.values()):
            package.model.close()

    def _serve(self, endpoint: Endpoint, before: ServedEndpoint | None, attempt: _Attempt) -> None:
        served, lacking, pending = [], False, False
        for deployment in _deployments(endpoint):
            key = _key(endpoint, deployment)
            refusal = self._refusal(deployment)
            package = None if refusal else self._packages.get(key)
            if package is not None:
                meter = self._meter.deployment(endpoint.name, deployment.name)
                served.append(Served(endpoint, deployment, package=package, meter=meter))
                continue
            fault = refusal or self._faults.get(key)
            attempt.faults += [fault] if fault else []
            lacking = lacking or deployment.share_bp > 0
            pending = pending or not (refusal or attempt.tried)
        attempt.pending = attempt.pending or pending
        before = None if before is not None and before.awaited else before
        if lacking and pending and before is None:
            return
        if lacking and before is not None and (before.ready or pending) and not _ails(before):
            attempt.held_back = True
            attempt.complete = attempt.complete and (before.ready or not before.loaded)
            attempt.endpoints[endpoint.name] = replace(before, policy=endpoint.policy)
            return
        attempt.complete = attempt.complete and not lacking
        attempt.endpoints[endpoint.name] = made = served_endpoint(endpoint, served)
        if made.sticky is not None and made.sticky.lacks:
            attempt.faults.append(f"`{endpoint.name}` is not sticky: {made.sticky.lacks}.")

    def _stop(self, endpoint: Endpoint, attempt: _Attempt) -> None:
        """Have an endpoint answer as it was ordered in an emergency, also where no model loads."""
        known = attempt.endpoints.get(endpoint.name)
        bare = replace(served_endpoint(endpoint, ()), awaited=True)
        served = self.stopping.applied(endpoint, known or bare)
        if known is not None or served.stopped is not None:
            attempt.endpoints[endpoint.name] = served
        if served.stopped is not None and served.stopped.lacks:
            told = f"The stop of `{endpoint.name}` refuses every request: {served.stopped.lacks}."
            attempt.faults.append(told)

    def _refusal(self, deployment: Deployment) -> str:
        """Return why a deployment is not run, unless it was deployed again since; or nothing."""
        trial = (deployment.package, deployment.trial)
        blamed = self._blamed.pop(deployment.package[:MARK_DIGITS], "")
        if blamed:
            self._refused[trial] = blamed
        because = deployment.quarantined or self._refused.get(trial)
        return f"The deployment `{deployment.name}` is in quarantine. {because}." if because else ""


def _key(endpoint: Endpoint, deployment: Deployment) -> Key:
    idle_s = endpoint.policy.idle_s
    return (deployment.package, deployment.package_signature, idle_s, deployment.trial)


def _needed(snapshot: Snapshot) -> Iterator[tuple[Endpoint, Deployment]]:
    for endpoint in snapshot.endpoints:
        for deployment in _deployments(endpoint):
            yield endpoint, deployment


def _deployments(endpoint: Endpoint) -> Iterator[Deployment]:
    """Yield what an endpoint is to be served by: not what is out of use, or in quarantine."""
    for deployment in endpoint.deployments if endpoint.loaded else ():
        if deployment.share_bp or not deployment.quarantined:
            yield deployment


def _ails(endpoint: ServedEndpoint) -> bool:
    return any(one.package.quarantine for one in endpoint.deployments.values())
