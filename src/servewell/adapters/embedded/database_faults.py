"""What to tell a person when the database does not do what it should."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from servewell.adapters.embedded.atomic_file import FULL, NOT_OURS, storage_error
from servewell.ports.state import StateUnavailableError

LOCK_NOT_AVAILABLE: Final = "55P03"  # PostgreSQL's SQLSTATE for a lock that took too long
PRIMARY_CODE: Final = 0xFF  # the lower byte of an SQLite code is its family

CORRUPT: Final = (
    "its file is damaged, or is not an SQLite database; it was left as it is",
    (
        "restore it from a backup. Without one, move it and the folder `snapshot` of the home "
        "away and run `servewell up` again, which starts a new history; workers serve on until then"
    ),
)
BUSY: Final = (
    "another process has been writing to it for more than ten seconds",
    "do the same again; if it stays so, `servewell doctor` shows what runs",
)
CANNOT_OPEN: Final = (
    "its file or its folder cannot be opened by this user of the machine",
    NOT_OURS[1],
)
READ_ONLY_FILE: Final = ("its file, its folder or its file system is read-only", NOT_OURS[1])
SQLITE_REASONS: Final = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY_FILE,
    sqlite3.SQLITE_PERM: NOT_OURS,
    sqlite3.SQLITE_CANTOPEN: CANNOT_OPEN,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_NOTADB: CORRUPT,
}


@contextmanager
def state_faults(url: URL) -> Iterator[None]:
    """Turn every fault of the database within the block into a StateUnavailableError.

    Raises: StateUnavailableError.
    """
    try:
        yield
    except DBAPIError as error:
        raise _unavailable(url, error.orig or error) from error
    except (PoolTimeoutError, sqlite3.Error, OSError) as error:
        raise _unavailable(url, error) from error


def shown(url: URL) -> str:
    """Return what may be shown of a database's address: never a user, a password or an option."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.get_backend_name()}://{url.host or 'localhost'}/{url.database or ''}"


def _unavailable(url: URL, error: BaseException) -> StateUnavailableError:
    why, fix = _reason(url, error)
    return StateUnavailableError(f"The state in `{shown(url)}` cannot be used.", why=why, fix=fix)


def _reason(url: URL, error: BaseException) -> tuple[str, str]:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
        otherwise = (f"SQLite says: {error}", "run `servewell doctor`, which checks this machine")
        return SQLITE_REASONS.get(code, otherwise)
    if isinstance(error, OSError):
        fault = storage_error(Path(str(url.database)), error)
        return fault.why, fault.fix
    if getattr(error, "sqlstate", None) == LOCK_NOT_AVAILABLE:
        return BUSY
    return (
        f"PostgreSQL says: {_first_line(error, url)}",
        "see that the server runs and SERVEWELL_DATABASE_URL names it; workers serve on meanwhile",
    )


def _first_line(error: BaseException, url: URL) -> str:
    text = next(iter(str(error).splitlines()), type(error).__name__)
    secrets = [url.password, *map(str, url.query.values())]
    return re.sub("|".join(re.escape(one) for one in secrets if one) or r"(?!)", "***", text)
