"""What the data contract looks at: the rows of a version, those before, and recent requests."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.signature import Datatype, Input, Value
from servewell.core.catalog.workload import Workload
from servewell.flows.datasets import personal_of
from servewell.flows.platform import Platform
from servewell.ports.data_measuring import DataQuestion
from servewell.ports.records import RecordQuery

REQUESTS_MAX: Final = 2_000  # the newest so many are looked at
ROWS_MAX: Final = 10_000
SCALAR: Final = ((), (1,))
DATATYPES: Final = {
    "string": Datatype.BYTES,
    "large_string": Datatype.BYTES,
    "bool": Datatype.BOOL,
    **{f"{sign}int{bits}": Datatype.FP64 for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **dict.fromkeys(("float", "double", "halffloat"), Datatype.FP64),
}
SHADOW: Final = "shadow"  # the role of a record whose answer nobody got


def data_question(
    platform: Platform,
    workload: Workload,
    version: ModelVersion,
    *,
    champion: ModelVersion | None,
    dataset: DatasetVersion | None,
) -> DataQuestion | None:
    """Return what is to be measured of the rows of a version; None where it has none.

    The last training data are the champion's, as long as they are kept.

    Raises: BlobCorruptError, StateUnavailableError, StorageError.
    """
    if dataset is None:
        return None
    lineage, data = version.manifest.lineage, workload.data
    label = lineage.label or (data.label if data else None)
    before = champion.manifest.lineage if champion else None
    kept = before is not None and platform.blobs.has(before.dataset_digest or "")
    digest = before.dataset_digest if before and kept else None
    hidden = personal_of(platform, dataset) | {
        name for name, rule in workload.inputs.items() if rule.personal
    }
    columns = _columns(version.manifest.signature.inputs, dataset, label)
    return DataQuestion(
        data=platform.blobs.path(dataset.digest),
        inputs=tuple(replace(one, personal=one.personal or one.name in hidden) for one in columns),
        label=label,
        held_out=lineage.held_out if lineage.dataset else data.held_out if data else None,
        before=platform.blobs.path(digest) if digest else None,
        before_name=(before.dataset or "") if before else "",
        before_held_out=before.held_out if before else None,
        requests=recent_requests(
            platform, workload.endpoint_name, version.manifest.signature.inputs
        ),
    )


def _columns(
    inputs: tuple[Input, ...], dataset: DatasetVersion, label: str | None
) -> tuple[Input, ...]:
    """Return the inputs as columns of the rows.

    A model that takes its row as one list has no inputs of their names: then all columns count.
    """
    if all(one.row_shape in SCALAR for one in inputs):
        return inputs
    return tuple(
        Input(name=one.name, datatype=DATATYPES[one.type], nullable=True)
        for one in dataset.columns
        if one.type in DATATYPES and one.name != label
    )


def recent_requests(
    platform: Platform, endpoint: str, inputs: tuple[Input, ...]
) -> dict[str, list[Value]]:
    """Return the rows that were asked lately, by input; none of a personal input.

    Raises: StorageError.
    """
    query = RecordQuery(endpoint=endpoint, limit=REQUESTS_MAX)
    rows = (row for record in platform.records.read(query) for row in _rows(record, inputs))
    taken = list(islice(rows, ROWS_MAX))
    told = [one.name for one in inputs if _is_plain(one)]
    return {name: [row[name] for row in taken] for name in told} if taken else {}


def _rows(record: Mapping[str, Any], inputs: tuple[Input, ...]) -> list[dict[str, Value]]:
    values: Mapping[str, list[Value]] = record.get("inputs") or {}
    told = [one.name for one in inputs if _is_plain(one)]
    if record.get("role") == SHADOW or any(name not in values for name in told):
        return []
    return [
        {name: value if value != "" else None for name, value in zip(told, row, strict=True)}
        for row in zip(*(values[name] for name in told), strict=True)
    ]


def _is_plain(one: Input) -> bool:
    return not one.personal and one.row_shape in SCALAR
