"""Labels as the rows that SQL reads."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from servewell.core.catalog.label import Label

SCHEMA: Final = pa.schema(
    [
        ("endpoint", pa.string()),
        ("prediction_id", pa.string()),
        ("row", pa.int64()),
        ("deployment", pa.string()),
        ("value", pa.string()),
        ("loss", pa.float64()),
        ("measure", pa.string()),
        ("corrected", pa.bool_()),
        ("added_at", pa.timestamp("us", tz="UTC")),
        ("principal", pa.string()),
        ("source", pa.string()),
    ]
)


def keep_labels(labels: Iterable[Sequence[Label]], path: Path) -> None:
    """Write labels as an Arrow stream. Raises: OSError."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
        for some in labels:
            rows = [_row(one) for one in some]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))


def read_labels(path: Path) -> pa.Table:
    """Return what `keep_labels` wrote. Raises: OSError."""
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_stream(file).read_all()


def _row(label: Label) -> dict[str, object]:
    value = label.value
    return {
        "endpoint": label.endpoint,
        "prediction_id": label.prediction_id,
        "row": label.row,
        "deployment": label.deployment,
        "value": value if isinstance(value, str) else msgspec.json.encode(value).decode(),
        "loss": label.loss,
        "measure": label.measure,
        "corrected": label.corrects,
        "added_at": datetime.fromtimestamp(label.added_at, UTC),
        "principal": label.principal,
        "source": label.source,
    }
