"""Versioned rows: taken in, looked at, compared, given out and removed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.data_facts import DataFacts, Shifts
from servewell.core.catalog.dataset import DatasetPolicy, DatasetVersion
from servewell.core.catalog.gate import GateRow
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.data_shifts import judge_shifts
from servewell.core.operations.dataset_rules import (
    Ending,
    PolicyChange,
    changed,
    dataset_name,
    end_version,
    past_retention,
    personal_columns,
    read_reference,
    refusal,
    refused,
    removed_error,
    unfinished,
    without_values,
)
from servewell.flows.platform import Platform
from servewell.ports.data_sources import DataSource

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A version, and whether it is a new one."""

    version: DatasetVersion
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How one version differs from another, and what the data contract would say of it."""

    before: DatasetVersion
    now: DatasetVersion
    shifts: Shifts
    rows: tuple[GateRow, ...]


def add_dataset(
    platform: Platform,
    name: str,
    source: DataSource,
    *,
    change: PolicyChange,
    progress: Progress,
) -> Added:
    """Take rows in as a version of a dataset; the same rows again are the same version.

    A dataset that is new belongs to whoever adds it, unless `change` says otherwise.

    Raises: DatasetReferenceError, DatasetRefusedError, DataSourceError, BadRowsError,
    DatabaseReadError, TableFaultsError, StateUnavailableError, StorageError.
    """
    require(platform, dataset_name(name), owning=True)
    policy = changed(policy_of(platform, name), change)
    progress(f"reading {source.location.partition('://')[0]}")
    with platform.data_sources.fetch(source) as fetched:
        before = {one.number for one in platform.datasets.list(name) if one.removed_at is None}
        kept = keep_rows(
            platform, name, fetched.path, source=fetched.source, personal=policy.personal
        )
    if policy != platform.datasets.policies().get(name):
        platform.datasets.set_policy(policy, _change(platform, name, _policy_words(policy)))
    new = kept.number not in before
    if new:
        _tell(platform, name, f"{kept.reference} was added: {kept.rows:,} rows from {kept.source}")
    return Added(version=kept, new=new)


def foresee_addition(
    platform: Platform, name: str, source: DataSource, *, progress: Progress
) -> Added:
    """Return what `add_dataset` would do; a new version has number 0.

    Raises: as `add_dataset`.
    """
    require(platform, dataset_name(name), owning=True)
    progress(f"reading {source.location.partition('://')[0]}")
    with platform.data_sources.fetch(source) as fetched:
        found = foresee_rows(platform, name, fetched.path, source=fetched.source)
    return Added(version=found, new=not found.number or found.removed_at is not None)


def _described(
    platform: Platform, name: str, path: Path, *, source: str, digest: str
) -> DatasetVersion:
    """Return rows as a version without a number, and without statistics."""
    facts = platform.tables.describe(path)
    return DatasetVersion(
        name=name,
        number=0,
        digest=digest,
        rows=facts.rows,
        size_bytes=facts.size_bytes,
        columns=facts.columns,
        source=source,
        created_at=platform.clock.now(),
    )


def foresee_rows(platform: Platform, name: str, path: Path, *, source: str) -> DatasetVersion:
    """Return the version that `keep_rows` would return; a new one has number 0.

    Raises: as `keep_rows`.
    """
    digest = platform.blobs.digest(path)
    new = _described(platform, name, path, source=source, digest=digest)
    known = platform.datasets.list(name)
    return next((one for one in known if one.digest == new.digest), new)


def keep_rows(
    platform: Platform, name: str, path: Path, *, source: str, personal: tuple[str, ...]
) -> DatasetVersion:
    """Keep a Parquet file as a version, with its statistics; read it only where it is new.

    Raises: TableFaultsError, StateUnavailableError, StorageError.
    """
    new = _described(platform, name, path, source=source, digest=platform.blobs.put_file(path))
    for known in platform.datasets.list(name):
        if known.digest == new.digest and known.removed_at is None:
            return known
    statistics = platform.data_sources.statistics(path, personal=personal)
    kept = platform.datasets.add(replace(new, statistics=statistics))
    platform.blobs.put_file(path)  # the end of a removal may have taken it before it was told
    return kept


def find_version(platform: Platform, reference: str) -> DatasetVersion:
    """Return the version that `NAME` or `NAME:NUMBER` says, if one may read it.

    Raises: DatasetReferenceError, DatasetMissingError, DatasetRefusedError.
    """
    name, number = read_reference(reference)
    require(platform, name, owning=False)
    version = platform.datasets.get(name, number)
    return without_values(version, personal_of(platform, version))


def list_datasets(platform: Platform, name: str | None = None) -> tuple[DatasetVersion, ...]:
    """Return the versions of a dataset; or of all that one may read, without their statistics.

    Raises: DatasetReferenceError, DatasetRefusedError.
    """
    if name is not None:
        require(platform, read_reference(name)[0], owning=False)
        found = platform.datasets.list(name)
        return tuple(without_values(one, personal_of(platform, one)) for one in found)
    policies, principal = platform.datasets.policies(), platform.principal
    return tuple(
        replace(one, statistics=())
        for one in platform.datasets.list()
        if not refusal(policies.get(one.name), principal, owning=False)
    )


def personal_of(platform: Platform, version: DatasetVersion) -> frozenset[str]:
    """Return the columns of a version of which no value is told."""
    return personal_columns(
        version,
        policy=platform.datasets.policies().get(version.name),
        workloads=[one.workload for one in platform.workloads.list()],
        endpoints=platform.endpoints.list(),
    )


def find_rows(platform: Platform, reference: str) -> DatasetVersion:
    """Return that version, if its rows are still kept.

    Raises: as `find_version`; DatasetRemovedError.
    """
    version = find_version(platform, reference)
    if version.removed_at is not None:
        raise removed_error(version)
    return version


def require(platform: Platform, name: str, *, owning: bool) -> None:
    """Refuse a principal who may not read a dataset, or change it; the history tells of it.

    Raises: DatasetRefusedError.
    """
    policy = platform.datasets.policies().get(name)
    if why := refusal(policy, platform.principal, owning=owning):
        _tell(platform, name, f"refused to {platform.principal}: {why}")
        raise refused(name, platform.principal, why)


def compare_datasets(
    platform: Platform, before: str, now: str, *, rules: ContractRules
) -> Compared:
    """Return how the rows of `now` that are new differ from those of `before`.

    Raises: as `find_rows`.
    """
    old, new = find_rows(platform, before), find_rows(platform, now)
    hidden = personal_of(platform, old) | personal_of(platform, new)
    shifts = platform.data_sources.compare(
        platform.blobs.path(old.digest),
        platform.blobs.path(new.digest),
        name=old.reference,
        personal=tuple(sorted(hidden)),
    )
    facts = DataFacts(rows=new.rows, held_out=0, repeated=0, shared=0, inputs=(), shifts=(shifts,))
    judged = tuple(one for one in judge_shifts(facts, rules) if one.gate != "train-serving skew")
    return Compared(before=old, now=new, shifts=shifts, rows=judged)


def export_dataset(platform: Platform, reference: str, path: Path) -> DatasetVersion:
    """Write the rows of a version to a file, by the ending of its name; the history tells of it.

    Raises: as `find_rows`; TableFaultsError, StorageError.
    """
    version = find_rows(platform, reference)
    platform.data_sources.export(platform.blobs.path(version.digest), path)
    _tell(platform, version.name, f"{version.reference} was given out to {platform.principal}")
    return version


def foresee_removal(platform: Platform, reference: str, *, because: str) -> Ending:
    """Return what removing the rows of a version would do.

    Raises: as `find_rows`; DatasetRefusedError for anybody but the owner.
    """
    require(platform, read_reference(reference)[0], owning=True)
    return _ending(platform, find_rows(platform, reference), because=because)


def remove_dataset(platform: Platform, reference: str, *, because: str) -> Ending:
    """Remove the rows of a version; that it was there, and what learned from it, stays known.

    Raises: as `foresee_removal`.
    """
    ending = foresee_removal(platform, reference, because=because)
    _end(platform, ending)
    return ending


def policy_of(platform: Platform, name: str) -> DatasetPolicy:
    """Return the policy of a dataset; one without any is everybody's, and whoever asks owns it."""
    plain = DatasetPolicy(name=name, owner=platform.principal)
    return platform.datasets.policies().get(name, plain)


def foresee_access(platform: Platform, name: str, change: PolicyChange) -> DatasetPolicy:
    """Return what `set_access` would set.

    Raises: as `set_access`.
    """
    require(platform, read_reference(name)[0], owning=True)
    platform.datasets.get(name)
    return changed(policy_of(platform, name), change)


def set_access(platform: Platform, name: str, change: PolicyChange) -> DatasetPolicy:
    """Set whose a dataset is, who may read it and how long its versions are kept.

    Raises: DatasetReferenceError, DatasetMissingError, DatasetRefusedError.
    """
    policy = foresee_access(platform, name, change)
    platform.datasets.set_policy(policy, _change(platform, name, _policy_words(policy)))
    return policy


def end_retention(platform: Platform) -> None:
    """Remove the rows that have been kept for as long as their policy says.

    Where a removal was interrupted after it was told, what it left is removed as well.
    """
    due = past_retention(
        platform.datasets.list(), platform.datasets.policies(), now=platform.clock.now()
    )
    for version in due:
        _end(platform, _ending(platform, version, because="its retention has ended"))
    for digest in unfinished(platform.datasets.list()):
        platform.blobs.remove(digest)


def _ending(platform: Platform, version: DatasetVersion, *, because: str) -> Ending:
    models = [
        one.name
        for one in platform.registry.list()
        if one.manifest.lineage.dataset == version.reference
    ]
    return end_version(
        version,
        now=platform.clock.now(),
        because=because,
        models=models,
        others=platform.datasets.list(),
    )


def _end(platform: Platform, ending: Ending) -> None:
    """Mark the version first: a kill between the two leaves bytes, which the next removal takes."""
    version = ending.version
    words = f"the rows of {version.reference} were removed: {ending.because}"
    platform.datasets.remove(version, _change(platform, version.name, words))
    if ending.remove:
        platform.blobs.remove(version.digest)


def _tell(platform: Platform, name: str, because: str) -> None:
    platform.history.keep(_change(platform, name, because))


def _change(platform: Platform, name: str, because: str) -> Change:
    return Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.DATASET,
        subject=f"dataset:{name}",  # endpoints may have the same names
        because=because,
    )


def _policy_words(policy: DatasetPolicy) -> str:
    return f"it belongs to {policy.owner}, {readers_words(policy)}, {kept_words(policy)}"


def readers_words(policy: DatasetPolicy) -> str:
    """Return in words who may read a dataset beside its owner."""
    if policy.readers is None:
        return "whoever uses this home may read it"
    return f"{', '.join(policy.readers) or 'nobody else'} may read it"


def kept_words(policy: DatasetPolicy) -> str:
    """Return in words how long the versions of a dataset are kept."""
    days = policy.retention_days
    return f"its versions are kept {'until they are removed' if days is None else f'{days} days'}"
