"""Explain one recorded prediction."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.core.catalog.model import Manifest
from servewell.core.catalog.request_trace import Record
from servewell.flows.monitoring.trace import readable_records, trace
from servewell.flows.platform import Platform
from servewell.ports.blobs import BlobMissingError
from servewell.ports.datasets import DatasetMissingError
from servewell.ports.explainer import ExplainJob, Explanation, NotExplainableError, Row
from servewell.ports.records import RecordQuery

RECORDED: Final = 100  # other requests that the answer may be compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPrediction:
    """An explanation, and of what."""

    prediction_id: str
    row: int  # within its request
    version: str
    recorded: object  # the output that was recorded for the row
    explanation: Explanation


def explain_prediction(
    platform: Platform, wanted: str, *, row: int, principal: str, since: float | None = None
) -> ExplainedPrediction:
    """Explain the answer to one row of a recorded request, which is found as `trace` finds it.

    Raises: RequestMissingError, NotExplainableError, LibraryMissingError, BlobMissingError,
    BlobCorruptError, StateUnavailableError, StorageError.
    """
    found = trace(platform, wanted, principal=principal, since=since)
    record = found.record
    if found.origin is None or not record["outputs"] or not record["inputs"]:
        raise _nothing(record, "no model answered it, or its version is registered no more")
    if not 0 <= row < record["rows"]:
        raise _nothing(record, f"it has {record['rows']:,} rows, counted from 0; row {row} is none")
    manifest = found.origin.version.manifest
    if manifest.predictor is not None:
        raise _nothing(record, "its model is Python code, whose graph nobody can read")
    explanation = platform.explainer.explain(
        ExplainJob(
            model=platform.blobs.path(manifest.artifact),
            signature=manifest.signature,
            row=_row_of(record, row),
            data=_data_of(platform, manifest),
            held_out=manifest.lineage.held_out,
            recorded=_recorded(platform, record),
        )
    )
    return ExplainedPrediction(
        prediction_id=record["prediction_id"],
        row=row,
        version=found.origin.version.name,
        recorded=record["outputs"].get(explanation.output, [None])[row],
        explanation=explanation,
    )


def _row_of(record: Record, row: int) -> Row:
    return {name: values[row] for name, values in record["inputs"].items()}


def _data_of(platform: Platform, manifest: Manifest) -> Path | None:
    """Return the rows that the version was made with, or None where they are kept no more."""
    name, _, number = (manifest.lineage.dataset or "").partition(":")
    if not number.isdecimal():
        return None
    try:
        return platform.blobs.path(platform.datasets.get(name, int(number)).digest)
    except (DatasetMissingError, BlobMissingError):
        return None


def _recorded(platform: Platform, record: Record) -> tuple[Row, ...]:
    """Return the first rows of the newest other requests that the same version took."""
    query = RecordQuery(endpoint=record["endpoint"], limit=10 * RECORDED)
    others = (
        _row_of(one, 0)
        for one in readable_records(platform, query)
        if one["package"] == record["package"]
        and one["inputs"]
        and one["prediction_id"] != record["prediction_id"]
    )
    return tuple(deque(others, maxlen=RECORDED))


def _nothing(record: Record, why: str) -> NotExplainableError:
    return NotExplainableError(
        f"The prediction {record['prediction_id']} cannot be explained.",
        why=why,
        fix=f"`servewell trace {record['prediction_id']}` shows what is known of it",
    )
