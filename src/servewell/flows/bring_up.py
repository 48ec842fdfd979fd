"""The whole main job: from a workload file to a served, secured, recorded model."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.endpoint import Endpoint, EndpointPolicy
from servewell.core.catalog.gate import GateReport
from servewell.core.catalog.limits import Limits
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.rollout import Rollout
from servewell.core.catalog.signature import example_row
from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.catalog.workload import Serving, Workload
from servewell.core.operations.clearance import Clearance, ClearanceDecision, decide_clearance
from servewell.core.operations.freshness import RunDecision
from servewell.core.operations.monitoring.feedback import policy_of as feedback_policy
from servewell.core.operations.traffic import decide_deploy, describe
from servewell.core.security.key_change import KeyRequest
from servewell.flows.clearance import kept_out
from servewell.flows.deliver import endpoint_of, ensure_judged, free_name, roll_out
from servewell.flows.keys import IssuedKey, create_key, operator_key
from servewell.flows.make_model import (
    foresee_dataset,
    foresee_model,
    keep_dataset,
    make_model,
)
from servewell.flows.monitoring.feedback import check_consent_text
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot
from servewell.flows.release import carry_out
from servewell.flows.retrain import remember_workload
from servewell.ports.certificates import Shown
from servewell.ports.door import Answer
from servewell.ports.fleet import FleetPlan, FleetState, NotServingError

READY_WITHIN_S: Final = 60.0
LOOK_AGAIN_S: Final = 0.05

Report = Callable[[str, str], None]  # a step and a line about it


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtUp:
    """What `up` did, and what it found done."""

    workload: str
    dataset: DatasetVersion | None
    version: ModelVersion
    made: RunDecision
    judged: GateReport
    clearance: ClearanceDecision
    rollout: Rollout | None  # that takes the traffic to the version, begun by this or found
    endpoint: Endpoint
    url: str
    tls: TlsFiles | None  # None for plain HTTP
    certificate: Shown | None  # the one that callers see
    key: IssuedKey | None  # only where this endpoint had none
    fleet: FleetState
    plan_differs: bool  # what runs was started with other serving rules
    request: dict[str, object] = field(default_factory=dict)
    answer: Answer


def bring_up(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    report: Report,
    overrides: tuple[str, ...] = (),
) -> BroughtUp:
    """Do what is not done yet, step by step; each step survives a kill and is not done twice.

    The `overrides` of the workload's file are remembered with it.

    Raises: EndpointTakenError, ConsentTextChangedError, before anything is done; whatever a step
    raises: what was done before it stays done.
    """
    check_consent_text(platform, endpoint_of(platform, workload), workload.feedback)
    plan = plan_for(platform, workload, folder)
    _protect(platform, plan)
    remember_workload(platform, workload, folder, overrides=overrides)
    report("data", "reading")
    dataset = keep_dataset(platform, workload, folder)
    report("data", _about(workload, dataset))
    made = make_model(
        platform, workload, folder, dataset=dataset, progress=lambda line: report("model", line)
    )
    report("model", f"{made.version.name}: {made.decision.because}")
    judged = ensure_judged(
        platform, workload, folder, made.version, progress=lambda line: report("gates", line)
    )
    report("gates", f"{judged.verdict}: {judged.because}")
    clearance = decide_clearance(endpoint_of(platform, workload), judged)
    endpoint = _ensure_served(platform, workload, made.version, clearance, judged)
    report("endpoint", clearance.because)
    door_key = operator_key(platform)
    snapshot = publish_snapshot(platform)
    report("workers", f"starting {plan.workers} on {plan.origin}")
    running = platform.fleet.start(plan).plan or plan
    wait_ready(platform, snapshot.version)
    fleet = platform.fleet.state()
    report("workers", f"{len(fleet.workers)} ready on {running.origin}")
    row = example_row(made.version.manifest.signature)
    columns = {name: [value] for name, value in row.items()}
    answer = platform.door(door_key).predict(endpoint.name, dict(columns))
    report("request", f"answered in {answer.elapsed_ms:.1f} ms by `{answer.deployment}`")
    rollout = _ensure_rollout(platform, workload, made.version, clearance, report=report)
    key = _ensure_key(platform, endpoint)  # last, so that one that was made is also shown
    report("key", "made a new one" if key else "the endpoint has one already")
    return BroughtUp(
        workload=workload.workload,
        dataset=made.dataset,
        version=made.version,
        made=made.decision,
        judged=judged,
        clearance=clearance,
        rollout=rollout,
        endpoint=endpoint,
        url=f"{running.origin}/v2/models/{endpoint.name}",
        tls=running.tls,
        certificate=None if running.tls is None else platform.certificates.shown(running.tls),
        key=key,
        fleet=fleet,
        plan_differs=running != plan,
        request=dict(row),
        answer=answer,
    )


def foresee(platform: Platform, workload: Workload, folder: Path) -> list[tuple[str, str]]:
    """Return what `bring_up` would do, step by step; change nothing that is served.

    Raises: EndpointTakenError, ConsentTextChangedError, CertificateFaultsError, TableFaultsError,
    TrainingFailedError, StateUnavailableError, StorageError.
    """
    endpoint = endpoint_of(platform, workload)
    check_consent_text(platform, endpoint, workload.feedback)
    plan, state = plan_for(platform, workload, folder), platform.fleet.state()
    if plan.tls is not None:
        platform.certificates.examine(plan.tls)
    dataset = foresee_dataset(platform, workload, folder)
    model = foresee_model(platform, workload, folder)
    start = f"start {plan.workers} on {plan.origin}"
    return [
        ("data", _about(workload, dataset)),
        ("model", f"{'make' if model.needed else 'keep'} it: {model.because}"),
        ("endpoint", _foreseen_traffic(endpoint, workload, new_version=model.needed)),
        ("workers", "find them running" if state.supervisor else start),
        ("key", "keep it" if endpoint and _has_key(platform, endpoint) else "make one"),
    ]


def _foreseen_traffic(endpoint: Endpoint | None, workload: Workload, *, new_version: bool) -> str:
    name = f"`{workload.endpoint_name}`"
    if endpoint is None:
        return f"create {name}, and send all its requests to the version"
    if new_version:
        return (
            f"have the gates judge the new version, then roll it out by "
            f"{workload.rollout.strategy}; {name} now sends {describe(endpoint.traffic)}"
        )
    rules = "" if endpoint.policy == policy_for(workload) else ", with new rules"
    return f"keep {name}{rules}: a version that it has gets no traffic by this"


def plan_for(platform: Platform, workload: Workload, folder: Path) -> FleetPlan:
    """Return what the supervisor is to keep running for the workload in a folder.

    Raises: HostnameInvalidError.
    """
    serving, records = workload.serving, workload.records
    return FleetPlan(
        host=serving.host,
        port=serving.port,
        workers=serving.workers,
        drain_s=serving.drain_s,
        lame_duck_s=serving.lame_duck_s,
        connections_max=serving.connections_max,
        tls=tls_for(platform, serving, folder),
        retention_days=records.retention_days,
        record_bytes_max=records.bytes_max,
        telemetry=workload.telemetry,
    )


def tls_for(platform: Platform, serving: Serving, folder: Path) -> TlsFiles | None:
    """Return the files by which the workers speak TLS; None where they speak plain HTTP.

    Raises: HostnameInvalidError.
    """
    tls = serving.tls
    if tls.mode == "off":
        return None
    own = platform.certificates.own((serving.host, *(tls.hostnames or ())))
    clients, authority = Clients(tls.clients), _path(folder, tls.client_ca)
    if tls.mode == "self-made":
        return replace(own, clients=clients, client_ca=authority)
    return TlsFiles(
        certificate=_path(folder, tls.certificate),
        key=_path(folder, tls.key),
        clients=clients,
        client_ca=authority,
        operator=own.operator,
        operator_ca=own.operator_ca,
    )


def _path(folder: Path, written: str | None) -> str:
    return "" if written is None else str((folder / written).absolute())


def _protect(platform: Platform, plan: FleetPlan) -> None:
    """Make the certificate of what is to be started, or examine it.

    Raises: CertificateFaultsError, StorageError.
    """
    if plan.tls is not None and platform.fleet.state().supervisor is None:
        platform.certificates.ensure(plan.tls)


def policy_for(workload: Workload) -> EndpointPolicy:
    """Return what the endpoint of a workload holds its callers and its records to."""
    rules = workload.endpoint
    return EndpointPolicy(
        body_bytes_max=rules.body_bytes_max,
        rows_max=rules.rows_max,
        personal=tuple(name for name, rule in workload.inputs.items() if rule.personal),
        idle_s=workload.endpoint.unload_after_s if workload.endpoint.load == "on-demand" else None,
        refuse_unrecorded=workload.records.when_full == "refuse",
        latency_objective_ms=rules.latency_objective_ms,
        timeout_ms=rules.timeout_ms,
        batch_rows_max=rules.batch_rows_max,
        concurrency=rules.concurrency,
        queue_requests_max=rules.queue_requests_max,
        queue_bytes_max=rules.queue_bytes_max,
        sticky=rules.sticky,
        feedback=feedback_policy(workload.feedback),
        limits=Limits(
            requests_per_s=rules.limits.requests_per_s,
            rows_per_s=rules.limits.rows_per_s,
            requests_per_day=rules.limits.requests_per_day,
            rows_per_day=rules.limits.rows_per_day,
        ),
    )


def wait_ready(platform: Platform, version: int) -> None:
    """Wait until every worker serves `version` and has every model of it loaded.

    Raises: NotServingError, with what the workers say of it.
    """
    end = platform.clock.now() + READY_WITHIN_S
    while waiting := _not_ready(platform, version):
        if platform.clock.now() > end:
            raise NotServingError(
                f"The workers were not ready after {READY_WITHIN_S:.0f} s.",
                why="; ".join(waiting),
                fix="`servewell logs` shows their words, `servewell doctor` looks for the cause",
            )
        platform.clock.sleep(LOOK_AGAIN_S)


def _not_ready(platform: Platform, version: int) -> list[str]:
    reports = {report.pid: report for report in platform.snapshots.reports()}
    state = platform.fleet.state()
    waiting = [] if state.workers else ["no worker runs"]
    for index, pid in state.workers.items():
        report = reports.get(pid)
        if report is None:
            waiting.append(f"worker {index} has not spoken yet")
        elif not report.ready or report.snapshot < version:
            waiting.append(f"worker {index}: {report.fault or 'still loading'}")
    return waiting


def _ensure_served(
    platform: Platform,
    workload: Workload,
    version: ModelVersion,
    clearance: ClearanceDecision,
    judged: GateReport,
) -> Endpoint:
    """Return the endpoint; its first version is deployed, a later one takes over by a rollout.

    Raises: GatesNotPassedError, QuarantinedError: where nothing serves and nothing may.
    """
    endpoint = _ensure_endpoint(platform, workload)
    if clearance.clearance is Clearance.KEEP_OUT and not endpoint.traffic:
        raise kept_out(endpoint.name, judged, clearance)
    if clearance.clearance is not Clearance.SERVE:
        return endpoint
    decision = decide_deploy(endpoint, version, name=free_name(endpoint, version))
    carry_out(platform, endpoint, decision, because="up")
    return platform.endpoints.get(endpoint.name)


def _ensure_rollout(
    platform: Platform,
    workload: Workload,
    version: ModelVersion,
    clearance: ClearanceDecision,
    *,
    report: Report,
) -> Rollout | None:
    """Return the rollout under way, or begin the one that the version needs; None for neither."""
    endpoint = platform.endpoints.get(workload.endpoint_name)
    for known in platform.rollouts.list(endpoint.name, open_only=True):
        report("rollout", f"that of {known.candidate_version} is under way: {known.because}")
        return known
    if clearance.clearance is not Clearance.ROLL_OUT:
        return None
    begun = roll_out(platform, workload, endpoint, version, because="up")
    report("rollout", begun.because)
    return begun


def _ensure_endpoint(platform: Platform, workload: Workload) -> Endpoint:
    policy = policy_for(workload)
    endpoint = endpoint_of(platform, workload)
    if endpoint is None:
        new = Endpoint(name=workload.endpoint_name, workload=workload.workload, policy=policy)
        return platform.endpoints.save(new, _change(platform, new, ChangeKind.ENDPOINT_CREATED))
    if endpoint.policy == policy:
        return endpoint
    changed = replace(endpoint, policy=policy)
    return platform.endpoints.save(changed, _change(platform, changed, ChangeKind.POLICY_SET))


def _change(platform: Platform, endpoint: Endpoint, kind: ChangeKind) -> Change:
    return Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=kind,
        subject=endpoint.name,
        because=f"the workload `{endpoint.workload}` says so",
        traffic=endpoint.traffic,
        versions={one.name: f"{one.model}:{one.version}" for one in endpoint.deployments},
    )


def _ensure_key(platform: Platform, endpoint: Endpoint) -> IssuedKey | None:
    """Return a new key where no key was ever made for this endpoint by name."""
    if _has_key(platform, endpoint):
        return None
    request = KeyRequest(principal=endpoint.workload, endpoints=(endpoint.name,))
    return create_key(platform, request)


def _has_key(platform: Platform, endpoint: Endpoint) -> bool:
    return any(endpoint.name in key.endpoints for key in platform.keys.list())


def _about(workload: Workload, dataset: DatasetVersion | None) -> str:
    if workload.data is not None and workload.data.step is not None:
        return f"what the step `{workload.data.step}` writes"
    if dataset is not None and not dataset.number:
        return "keep a new version"
    if dataset is None:
        return "none named: the model comes ready made"
    return (
        f"{dataset.name}:{dataset.number}, {dataset.rows:,} rows, "
        f"{len(dataset.columns)} columns, sha256 {dataset.digest[:12]}"
    )
