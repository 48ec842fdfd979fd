"""What the answering process and the one that waits for it say to each other, in which files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from servewell.adapters.embedded.atomic_file import write_atomically
from servewell.errors import ServewellError
from servewell.ports.explainer import ExplainJob, Explanation, NotExplainableError
from servewell.ports.record_queries import (
    Answered,
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


Told = TypeVar("Told", Answered, Explanation)


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


def write(path: Path, value: object) -> None:
    """Write a value as JSON: a reader sees all of it or nothing. Raises: OSError."""
    write_atomically(path, msgspec.json.encode(value, enc_hook=_plain))


def read_order(path: Path) -> Order:
    """Read what is to be done. Raises: OSError, msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Order, dec_hook=_rich)


def read_told(path: Path, kind: type[Told]) -> Told | None:
    """Return what came of the work, or None where nothing did."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read_failure(path: Path) -> ServewellError | None:
    """Return the error that ended the work, or None where it wrote none."""
    try:
        told = msgspec.json.decode(path.read_bytes(), type=Failure)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    kind = ERRORS.get(told.code)
    return None if kind is None else kind(told.what, why=told.why, fix=told.fix)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value)}")


def _rich(kind: type, value: Any) -> Any:  # noqa: ANN401  # as msgspec types its hooks
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"no {kind} in JSON")
