"""The answering process: reads its order, does it, leaves what came of it or why nothing did."""

import sys
import traceback
from pathlib import Path

from servewell.adapters.embedded.analysis.exchange import (
    Failure,
    Order,
    WorkFiles,
    read_order,
    write,
)
from servewell.adapters.embedded.job.bounds import end_before_who_serves, end_with
from servewell.errors import ServewellError
from servewell.ports.record_queries import QueryLibraryMissingError


def main(folder: Path) -> int:
    """Do the order of a folder; return the exit code of the process: 0 with a result, else 1."""
    files = WorkFiles(folder)
    order = read_order(files.order)
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
    assert order.query is not None  # noqa: S101 - an order is one of the kinds of work
    try:
        from servewell.adapters.embedded.analysis.querying import answer  # noqa: PLC0415
    except ImportError as error:
        raise _missing(error) from error
    return answer(order.query, files)


def _missing(error: ImportError) -> QueryLibraryMissingError:
    return QueryLibraryMissingError(
        f"SQL over the prediction log needs `{error.name}`, which is not installed.",
        why="it is an extra, because serving does not need it",
        fix="pip install 'servewell[query]'",
    )
