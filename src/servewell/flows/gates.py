"""Judge model versions before they may be deployed, and keep what was found."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from servewell.core.catalog.behaviour import BehaviourTest
from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.gate import GateReport, GateRow
from servewell.core.catalog.model import ModelVersion, digest_of
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.data_contract import judge_data
from servewell.core.operations.gate_measures import Facts, Measures
from servewell.core.operations.gates import decide, not_measured, verdict_of
from servewell.core.operations.signature_fit import misfits
from servewell.flows.data_question import data_question
from servewell.flows.environments import ensure_environment
from servewell.flows.gate_page import draw
from servewell.flows.make_model import keep_dataset
from servewell.flows.platform import Platform
from servewell.ports.blobs import BlobCorruptError, BlobMissingError
from servewell.ports.evaluator import Contender, EvaluateJob, EvaluationFailedError

Progress = Callable[[str], None]


def judge_version(  # noqa: PLR0913 - what is judged, by what, beside what
    platform: Platform,
    workload: Workload,
    folder: Path,
    version: ModelVersion,
    *,
    champion: ModelVersion | None,
    progress: Progress,
    counts: bool = True,
) -> GateReport:
    """Measure a version, decide on it, and keep the report, unless it is not to count.

    The champion answers the rows of the version. Where the measuring itself fails, the report says
    that nothing can be told, and why.

    Raises: BehaviourFileError, BlobMissingError, BlobCorruptError, EnvironmentFailedError,
    StateUnavailableError, StorageError.
    """
    dataset = rows_of(platform, workload, folder, version)
    facts = _facts(platform, workload, version, champion=champion, dataset=dataset)
    job = replace(
        _job(platform, workload, folder, dataset=dataset, versions=(version, champion)),
        question=data_question(platform, workload, version, champion=champion, dataset=dataset),
    )
    measures, measured = Measures(metric="", no_metric="nothing was measured"), True
    try:
        measures = platform.evaluator.evaluate(job, lambda step: progress(step.words))
        rows = decide(workload.gates, measures, _with_data(facts, workload, measures))
    except EvaluationFailedError as error:
        measured = False
        rows = not_measured(workload.gates, facts, f"{error.what} {error.why}")
    report = _report(platform, version, champion, rows, measures=measures)
    rules = rules_of(platform, workload, folder, version)
    report = replace(report, rules=rules, measured=measured)
    return platform.gates.keep(report) if counts else report


def rules_of(platform: Platform, workload: Workload, folder: Path, version: ModelVersion) -> str:
    """Return the digest of what a version is judged by, whatever it is compared with.

    Raises: BehaviourFileError.
    """
    contract = workload.data.contract if workload.data else ContractRules()
    objective = workload.endpoint.latency_objective_ms
    tests = _behaviours(platform, workload, folder, version)
    return digest_of(msgspec.json.encode((workload.gates, contract, objective, tests)))


def _with_data(facts: Facts, workload: Workload, measures: Measures) -> Facts:
    """Return the facts with what the data contract says of the rows that were measured."""
    contract = workload.data.contract if workload.data else ContractRules()
    return replace(facts, data=judge_data(measures.data, contract)) if measures.data else facts


def rows_of(
    platform: Platform, workload: Workload, folder: Path, version: ModelVersion
) -> DatasetVersion | None:
    """Return the dataset version that a model version is judged on.

    It is the one that the version was made from, whose held-out rows it did not learn from; where
    none is known, or its rows are gone, the one that the workload names.

    Raises: TableFaultsError, StateUnavailableError, StorageError.
    """
    name = version.manifest.lineage.dataset or ""
    known = platform.datasets.list(name.partition(":")[0]) if name else ()
    for one in known:
        if f"{one.name}:{one.number}" == name and platform.blobs.has(one.digest):
            return one
    return keep_dataset(platform, workload, folder)


def _job(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    dataset: DatasetVersion | None,
    versions: tuple[ModelVersion, ModelVersion | None],
) -> EvaluateJob:
    rules, (version, champion) = workload.gates, versions
    lineage, data = version.manifest.lineage, workload.data
    return EvaluateJob(
        run=platform.ids.new(),
        candidate=_contender(platform, version),
        champion=None if champion is None else _contender(platform, champion),
        data=platform.blobs.path(dataset.digest) if dataset else None,
        label=lineage.label or (data.label if data else None),
        held_out=lineage.held_out if lineage.dataset else data.held_out if data else None,
        rules=rules,
        behaviour=_behaviours(platform, workload, folder, version),
        timeout_s=float(rules.timeout_s),
    )


def _behaviours(
    platform: Platform, workload: Workload, folder: Path, version: ModelVersion
) -> tuple[BehaviourTest, ...]:
    named = workload.gates.behaviour
    if named is None:
        return ()
    return platform.evaluator.behaviours(folder / named, version.manifest.signature)


def _contender(platform: Platform, version: ModelVersion) -> Contender:
    manifest = version.manifest
    ensure_environment(platform, version, lambda _: None)
    environment = manifest.predictor.environment if manifest.predictor else ""
    return Contender(
        version=version.name,
        model=platform.blobs.path(manifest.artifact),
        signature=manifest.signature,
        predictor=manifest.predictor,
        python=platform.environments.python(environment) if environment else None,
    )


def _facts(
    platform: Platform,
    workload: Workload,
    version: ModelVersion,
    *,
    champion: ModelVersion | None,
    dataset: DatasetVersion | None,
) -> Facts:
    manifest = version.manifest
    optimised = manifest.lineage.optimised
    return Facts(
        version=version.name,
        champion=champion.name if champion else None,
        has_rows=dataset is not None,
        signed=_signed(platform, version),
        size_bytes=manifest.artifact_bytes,
        champion_size_bytes=champion.manifest.artifact_bytes if champion else None,
        equivalence_rows=manifest.equivalence.rows,
        equivalence_difference=manifest.equivalence.largest_difference,
        equivalence_tolerance=manifest.equivalence.tolerance,
        misfits=misfits(champion.manifest.signature, manifest.signature) if champion else (),
        optimised=optimised.of if optimised else "",
        latency_objective_ms=workload.endpoint.latency_objective_ms,
        memory_bytes_max=manifest.predictor.memory_bytes_max if manifest.predictor else None,
    )


def _signed(platform: Platform, version: ModelVersion) -> bool:
    """Whether the package is whole and signed, and the artifact the one that it names."""
    try:
        content = platform.blobs.read(version.package)
        given = base64.b64decode(version.package_signature, validate=True)
        platform.blobs.read(version.manifest.artifact)
    except (BlobMissingError, BlobCorruptError, binascii.Error):
        return False
    return platform.signer.verify(content, given)


def _report(
    platform: Platform,
    version: ModelVersion,
    champion: ModelVersion | None,
    rows: tuple[GateRow, ...],
    *,
    measures: Measures,
) -> GateReport:
    """Return the report, with its page and its document kept."""
    verdict, because = verdict_of(rows)
    report = GateReport(
        id=platform.ids.new(),
        version=version.name,
        package=version.package,
        champion=champion.name if champion else None,
        verdict=verdict,
        because=because,
        rows=rows,
        at=platform.clock.now(),
        principal=platform.principal,
    )
    document = msgspec.json.encode({"report": report, "measures": measures})
    return replace(
        report,
        page=platform.blobs.put(draw(report, measures).encode()),
        document=platform.blobs.put(msgspec.json.format(document, indent=2)),
    )
