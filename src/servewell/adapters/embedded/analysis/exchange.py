"""What the answering process and the one that waits for it say to each other, in which files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.adapters.embedded.json_files import read_told
from servewell.errors import ServewellError
from servewell.ports.explainer import ExplainJob, NotExplainableError
from servewell.ports.record_queries import (
    QueryInvalidError,
    QueryLibraryMissingError,
    QueryRefusedError,
    QueryTooLargeError,
    SqlQuery,
)
from servewell.ports.trainer import LibraryMissingError

ERRORS: Final[dict[str, type[ServewellError]]] = {
    kind.code: kind
    for kind in (
        QueryInvalidError,
        QueryRefusedError,
        QueryTooLargeError,
        QueryLibraryMissingError,
        NotExplainableError,
        LibraryMissingError,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOrder:
    """A query, and where what it is about lies."""

    query: SqlQuery
    records: Path  # folder of the prediction log
    labels: Path  # Arrow stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the process is to do, and the pipes that tie it to the one that waits."""

    progress_pipe: int
    parent_pipe: int
    query: QueryOrder | None = None  # either this
    explain: ExplainJob | None = None  # or that


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The error that ended the process's work."""

    code: str
    what: str
    why: str
    fix: str


class WorkFiles:
    """The files of one answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order = folder / "order.json"
        self.pid = folder / "pid"
        self.log = folder / "log.txt"
        self.result = folder / "result.json"
        self.failure = folder / "failure.json"
        self.labels = folder / "labels.arrow"
        self.answer = folder / "answer.parquet"
        self.spill = folder / "spill"


def read_failure(path: Path) -> ServewellError | None:
    """Return the error that ended the work, or None where it wrote none."""
    told = read_told(path, Failure)
    kind = ERRORS.get(told.code) if told else None
    return kind(told.what, why=told.why, fix=told.fix) if told and kind else None
