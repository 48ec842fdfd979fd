"""The rows that a workload names, as a dataset version: kept, or what they would be."""

from pathlib import Path

from servewell.core.catalog.dataset import DatasetPolicy, DatasetVersion
from servewell.core.catalog.workload import Data, Workload
from servewell.flows.datasets import find_rows, foresee_rows, keep_rows, require
from servewell.flows.platform import Platform
from servewell.ports.data_sources import DataSource


def keep_workload_rows(
    platform: Platform, workload: Workload, data: Data, folder: Path
) -> DatasetVersion:
    """Keep the rows of a file as a version of the workload's own dataset, or find those named.

    Raises: DatasetReferenceError, DatasetMissingError, DatasetRemovedError, DatasetRefusedError,
    BadRowsError, TableFaultsError, StateUnavailableError, StorageError.
    """
    if data.dataset:
        return find_rows(platform, data.dataset)
    name = workload.workload
    require(platform, name, owning=True)
    with platform.data_sources.fetch(DataSource(location=str(folder / data.path))) as fetched:
        return keep_rows(
            platform,
            name,
            fetched.path,
            source=data.path,
            personal=_personal(platform, workload),
        )


def foresee_workload_rows(
    platform: Platform, workload: Workload, data: Data, folder: Path
) -> DatasetVersion:
    """Return the version that these rows are or would be; a new one has number 0.

    Raises: as `keep_workload_rows`.
    """
    if data.dataset:
        return find_rows(platform, data.dataset)
    name = workload.workload
    with platform.data_sources.fetch(DataSource(location=str(folder / data.path))) as fetched:
        return foresee_rows(platform, name, fetched.path, source=data.path)


def _personal(platform: Platform, workload: Workload) -> tuple[str, ...]:
    policy = platform.datasets.policies().get(
        workload.workload, DatasetPolicy(name=workload.workload, owner="")
    )
    declared = [name for name, rule in workload.inputs.items() if rule.personal]
    return tuple(dict.fromkeys((*policy.personal, *declared)))
