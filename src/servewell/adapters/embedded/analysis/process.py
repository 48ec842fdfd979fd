"""The answering process: reads its order, does it, leaves what came of it or why nothing did."""

import sys
import traceback
from pathlib import Path

from servewell.adapters.embedded.analysis.exchange import (
    Failure,
    Order,
    WorkFiles,
)
from servewell.adapters.embedded.job.bounds import (
    bound_memory,
    end_before_who_serves,
    end_with,
)
from servewell.adapters.embedded.json_files import read, write
from servewell.errors import ServewellError
from servewell.ports.explainer import ExplainJob, Explanation, NotExplainableError
from servewell.ports.record_queries import QueryLibraryMissingError
from servewell.ports.trainer import LibraryMissingError


def main(folder: Path) -> int:
    """Do the order of a folder; return the exit code of the process: 0 with a result, else 1."""
    files = WorkFiles(folder)
    order = read(files.order, Order)
    end_with(order.parent_pipe)
    end_before_who_serves()
    sys.dont_write_bytecode = True
    try:
        write(files.result, _done(order, files))
    except ServewellError as error:
        told = Failure(code=error.code, what=error.what, why=error.why, fix=error.fix)
        write(files.failure, told)
        return 1
    except Exception:  # noqa: BLE001  # the log has it, and the one who waits finds no result
        traceback.print_exc()
        return 1
    return 0


def _done(order: Order, files: WorkFiles) -> object:
    # Each kind of work loads libraries of its own.
    if order.explain is not None:
        return _explained(order.explain)
    assert order.query is not None  # noqa: S101 - an order is one of the kinds of work
    try:
        from servewell.adapters.embedded.analysis.querying import answer  # noqa: PLC0415
    except ImportError as error:
        raise QueryLibraryMissingError(
            f"SQL over the prediction log needs `{error.name}`, which is not installed.",
            why="it is an extra, because serving does not need it",
            fix="pip install 'servewell[query]'",
        ) from error
    return answer(order.query, files)


def _explained(job: ExplainJob) -> Explanation:
    bound_memory(job.memory_bytes_max)
    try:
        from servewell.adapters.embedded.analysis.background import background_of  # noqa: PLC0415
        from servewell.adapters.embedded.analysis.explaining import explain  # noqa: PLC0415
    except ImportError as error:
        raise LibraryMissingError(
            f"The library `{error.name}` is not installed.",
            why="the graph of a model cannot be read without it",
            fix="pip install 'servewell[sklearn]'",
        ) from error
    try:
        return explain(job, background_of(job))
    except MemoryError as error:
        raise NotExplainableError(
            "This answer cannot be explained within the memory that that may take.",
            why=f"the model is larger than {job.memory_bytes_max >> 20:,} MiB suffice for",
            fix="`servewell trace` shows what is known of the request",
        ) from error
