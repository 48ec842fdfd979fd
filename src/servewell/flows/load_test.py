"""Send realistic rows to an endpoint at a planned rate, and say what it carries."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from servewell.core.catalog.rows import RowsInvalidError, inputs_of, to_columns
from servewell.core.catalog.signature import Input, Signature, example_row
from servewell.core.catalog.tls import TlsFiles
from servewell.core.performance.load_plan import Arrivals, Stage, StopRule
from servewell.core.performance.load_result import (
    StageResult,
    Window,
    capacity_per_s,
    decide_stop,
    results,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.flows.predict import require_serving
from servewell.ports.door import Door
from servewell.ports.load_generator import Load
from servewell.ports.records import RecordQuery
from servewell.ports.tables import Row

ROWS_MAX: Final = 2_000  # different rows that are sent
ROWS_ENOUGH: Final = 100  # different rows below which a kind of rows is not chosen unasked
OK: Final = 200


class NoRowsError(ServewellError):
    """There are no rows to send of the kind that was asked for."""

    code = "SW-125"


class RowSource(StrEnum):
    """Where the rows of a load test come from."""

    LOG = "log"  # what callers sent of late
    DATASET = "dataset"  # what the model was made from
    EXAMPLE = "example"  # one row that the model takes


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What is to be sent, and when."""

    stages: tuple[Stage, ...]
    arrivals: Arrivals = Arrivals.POISSON
    rows: int = 1  # in one request
    source: RowSource | None = None  # None: the first of the three that there is
    input: Path | None = None  # a file with rows, instead
    connections_max: int = 256
    timeout_s: float = 10.0
    objective_ms: float = 100.0
    stop: StopRule | None = None  # None: carry out the plan whatever comes
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What came of a load test."""

    endpoint: str
    address: str
    began_at: float  # seconds since the epoch, UTC
    source: str  # where the rows came from, in words
    requests: int
    objective_ms: float
    stages: tuple[StageResult, ...]
    capacity_per_s: float | None  # the highest rate that was offered and carried
    stopped: str  # why it ended before its plan did; or empty
    windows: tuple[Window, ...]


def load_test(  # noqa: PLR0913 - the words of the command
    platform: Platform,
    endpoint: str,
    options: LoadOptions,
    *,
    key: str,
    url: str = "",
    observe: Callable[[Window], None] = lambda _: None,
) -> LoadReport:
    """Run a load test to the end of its plan, or until nothing more can be learnt from it.

    Raises: NotServingError, NoRowsError, LoadFailedError, RequestRefusedError, DoorClosedError,
    AnswerInvalidError, AddressInvalidError, RowsInvalidError, TableFaultsError, StorageError.
    """
    target = _target(platform, url)
    door = platform.door(key, url=url)
    inputs = inputs_of(door.metadata(endpoint))
    source, rows = _rows(platform, endpoint, inputs, options)
    _try(door, endpoint, inputs, rows[: options.rows])
    load = _load(target, endpoint, _bodies(inputs, rows, options.rows), options, key)
    windows: list[Window] = []
    stopped: list[str] = []
    began_at = platform.clock.now()

    def note(window: Window) -> bool:
        windows.append(window)
        observe(window.whole)
        decision = decide_stop(options.stop, windows) if options.stop else None
        if decision is not None and decision.stop:
            stopped[:] = [decision.because]
        return not stopped

    platform.load_generator.run(load, note)
    found = tuple(results(options.stages, windows, options.objective_ms))
    return LoadReport(
        endpoint=endpoint,
        address=load.url,
        began_at=began_at,
        source=source,
        requests=sum(one.due for one in windows),
        objective_ms=options.objective_ms,
        stages=found,
        capacity_per_s=capacity_per_s(found),
        stopped="".join(stopped),
        windows=tuple(windows),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where the load goes, and whom to believe there."""

    url: str
    trust: TlsFiles | None
    authority: str


def _target(platform: Platform, url: str) -> _Target:
    """Return what is at `url`, or what this home serves.

    Raises: NotServingError.
    """
    authority = platform.certificates.own(()).authority
    if url:
        return _Target(url=url, trust=None, authority=authority)
    plan = require_serving(platform)
    return _Target(url=plan.origin, trust=plan.tls, authority=authority)


def _load(
    target: _Target, endpoint: str, bodies: tuple[bytes, ...], options: LoadOptions, key: str
) -> Load:
    return Load(
        url=target.url,
        trust=target.trust,
        authority=target.authority,
        path=f"/v2/models/{endpoint}/infer",
        headers={"authorization": f"Bearer {key}"},
        bodies=bodies,
        stages=options.stages,
        arrivals=options.arrivals,
        seed=options.seed,
        connections_max=options.connections_max,
        timeout_s=options.timeout_s,
        objective_ms=options.objective_ms,
    )


def _try(door: Door, endpoint: str, inputs: tuple[Input, ...], rows: list[Row]) -> None:
    """Send one request first: a load of refusals says nothing. Raises what the door raises."""
    door.predict(endpoint, dict(to_columns(inputs, rows).values))


def _rows(
    platform: Platform, endpoint: str, inputs: tuple[Input, ...], options: LoadOptions
) -> tuple[str, list[Row]]:
    """Return where the rows come from, in words, and the rows.

    Raises: NoRowsError where there are none of the kind that was asked for.
    """
    if options.input is not None:
        batches = platform.tables.read(options.input, batch=ROWS_MAX)
        return f"the file `{options.input}`", _some(batches, f"`{options.input}` has none")
    wanted = (options.source,) if options.source else tuple(RowSource)
    enough = 1 if options.source else ROWS_ENOUGH
    found = [SOURCES[kind](platform, endpoint, inputs) for kind in wanted]
    for words, rows in sorted(found, key=lambda one: len(one[1]) < enough):
        if rows:
            return words, rows
    raise NoRowsError(
        "There are no rows to send.",
        why="; ".join(WHY_NONE[kind] for kind in wanted),
        fix="name a file of rows with `--input`, or let `--rows-from` choose",
    )


def _some(batches: Iterator[list[Row]], why: str) -> list[Row]:
    rows = next(batches, [])
    if not rows:
        raise NoRowsError("There are no rows to send.", why=why, fix="name a file with rows in it")
    return rows


def _from_log(
    platform: Platform, endpoint: str, inputs: tuple[Input, ...]
) -> tuple[str, list[Row]]:
    query = RecordQuery(endpoint=endpoint, limit=ROWS_MAX)
    records = (one for one in platform.records.read(query) if one["status"] == OK)
    rows = list(islice(_recorded(records, inputs), ROWS_MAX))
    return f"{len(rows):,} rows that callers sent of late", rows


def _recorded(records: Iterable[dict[str, Any]], inputs: tuple[Input, ...]) -> Iterator[Row]:
    """Yield the rows of records that still fit: a personal value is a token and may not."""
    for record in records:
        names, columns = list(record["inputs"]), list(record["inputs"].values())
        rows = [dict(zip(names, values, strict=False)) for values in zip(*columns, strict=False)]
        try:
            to_columns(inputs, rows)
        except RowsInvalidError:
            continue
        yield from rows


def _from_dataset(
    platform: Platform, endpoint: str, inputs: tuple[Input, ...]
) -> tuple[str, list[Row]]:
    name = _dataset_of(platform, endpoint)
    kept = platform.datasets.list(name.partition(":")[0]) if name else ()
    found = next((one for one in kept if f"{one.name}:{one.number}" == name), None)
    if found is None or not Path(found.source).is_file():
        return "", []
    names = {one.name for one in inputs}
    batch = next(platform.tables.read(Path(found.source), batch=ROWS_MAX), [])
    rows: list[Row] = [{key: row[key] for key in row if key in names} for row in batch]
    return f"{len(rows):,} rows of the dataset {name}", rows


def _dataset_of(platform: Platform, endpoint: str) -> str:
    """Return the dataset of the version with most traffic, as `name:number`; or nothing."""
    version = _main_version(platform, endpoint)
    return "" if version is None else version.manifest.lineage.dataset or ""


def _main_version(platform: Platform, endpoint: str) -> Any:  # noqa: ANN401 - see the registry
    known = [one for one in platform.endpoints.list() if one.name == endpoint]
    deployments = [one for endpoint_ in known for one in endpoint_.deployments]
    main = max(deployments, key=lambda one: one.share_bp, default=None)
    return None if main is None else platform.registry.get(main.model, main.version)


def _from_example(
    platform: Platform, endpoint: str, inputs: tuple[Input, ...]
) -> tuple[str, list[Row]]:
    version = _main_version(platform, endpoint)
    signature = version.manifest.signature if version else Signature(inputs=inputs, outputs=())
    return "one example row of the model", [dict(example_row(signature))]


SOURCES: Final = {
    RowSource.LOG: _from_log,
    RowSource.DATASET: _from_dataset,
    RowSource.EXAMPLE: _from_example,
}
WHY_NONE: Final = {
    RowSource.LOG: "the prediction log has none of this endpoint that can be sent again",
    RowSource.DATASET: "the model was made from no dataset, or its file is gone",
    RowSource.EXAMPLE: "the model has no example row",
}


def _bodies(inputs: tuple[Input, ...], rows: list[Row], size: int) -> tuple[bytes, ...]:
    """Return requests of `size` rows each; rows are used again where there are too few."""
    chosen = [rows[place % len(rows)] for place in range(max(len(rows) // size, 1) * size)]
    batches = [chosen[start : start + size] for start in range(0, len(chosen), size)]
    return tuple(_body(inputs, batch) for batch in batches)


def _body(inputs: tuple[Input, ...], rows: list[Row]) -> bytes:
    columns = to_columns(inputs, rows).values
    return msgspec.json.encode(
        {"inputs": [_tensor(one, columns[one.name], len(rows)) for one in inputs]}
    )


def _tensor(declared: Input, column: list[Any], rows: int) -> dict[str, object]:
    flat = [one for cell in column for one in (cell if isinstance(cell, list) else [cell])]
    known = math.prod(size for size in declared.row_shape if size != -1)
    shape = [len(flat) // (rows * known) if size == -1 else size for size in declared.row_shape]
    return {
        "name": declared.name,
        "datatype": declared.datatype,
        "shape": [rows, *shape],
        "data": flat,
    }
