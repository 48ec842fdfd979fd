"""Known workloads in the database of the state."""

from dataclasses import MISSING, Field, fields, is_dataclass, replace

import msgspec
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import WORKLOAD, row_of, value_of
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.ports.state import StateConflictError
from servewell.ports.workloads import WorkloadMissingError

ROWS = WORKLOAD.c


def written(value: object) -> object:
    """Return what a file would have to say for this value: what is left to its default is left out.

    A default may be what no file may write, such as an empty text for none.
    """
    if is_dataclass(value) and not isinstance(value, type):
        default = {one.name: _default(one) for one in fields(value)}
        held = {name: getattr(value, name) for name in default}
        return {name: written(one) for name, one in held.items() if one != default[name]}
    if isinstance(value, dict):
        return {name: written(one) for name, one in value.items()}
    return msgspec.to_builtins(value)


def _default(field: "Field[object]") -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


class SqlWorkloads:
    """`Workloads` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, known: KnownWorkload) -> KnownWorkload:
        """See `Workloads.save`."""
        same = ROWS.name == known.name
        kept = replace(known, revision=known.revision + 1)
        with self._database.writing() as connection:
            revision = connection.execute(sa.select(ROWS.revision).where(same)).scalar() or 0
            if revision != known.revision:
                raise StateConflictError(
                    f"The workload `{known.name}` was changed by somebody else.",
                    why=f"it is at revision {revision}; this change was made for revision "
                    f"{known.revision}",
                    fix="do the same again if it is still right",
                )
            connection.execute(sa.delete(WORKLOAD).where(same))
            row = {**row_of(kept), "workload": written(kept.workload)}
            connection.execute(sa.insert(WORKLOAD).values(row))
        return kept

    def get(self, name: str) -> KnownWorkload:
        """See `Workloads.get`."""
        with self._database.reading() as connection:
            query = sa.select(WORKLOAD).where(ROWS.name == name)
            found = connection.execute(query).mappings().first()
        if found is None:
            raise WorkloadMissingError(
                f"There is no workload `{name}`.",
                why="no `servewell up` of this home has read a workload of that name",
                fix="`servewell retrain status` shows them; `servewell up FOLDER` adds one",
            )
        return value_of(found, KnownWorkload)

    def list(self) -> tuple[KnownWorkload, ...]:
        """See `Workloads.list`."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(WORKLOAD).order_by(ROWS.name)).mappings().all()
        return tuple(value_of(row, KnownWorkload) for row in found)
