"""Reports of the gates in the database of the state."""

from dataclasses import replace

import msgspec
import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.history import keep_change
from servewell.adapters.embedded.state_tables import GATE_REPORT, next_number, row_of, value_of
from servewell.core.catalog.change import Change
from servewell.core.catalog.gate import GateOverride, GateReport
from servewell.ports.gates import GateReportMissingError
from servewell.ports.state import StateConflictError

ROWS = GATE_REPORT.c


class SqlGates:
    """`Gates` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, report: GateReport) -> GateReport:
        """See `Gates.keep`."""
        with self._database.writing() as connection:
            same = sa.select(GATE_REPORT).where(ROWS.id == report.id)
            found = connection.execute(same).mappings().first()
            if found is not None:
                return value_of(found, GateReport)
            kept = replace(report, number=next_number(connection, ROWS.number))
            connection.execute(sa.insert(GATE_REPORT).values(row_of(kept)))
            keep_change(connection, kept.change)
        return kept

    def override(self, report_id: str, override: GateOverride, change: Change) -> GateReport:
        """See `Gates.override`."""
        same = ROWS.id == report_id
        with self._database.writing() as connection:
            found = connection.execute(sa.select(GATE_REPORT).where(same)).mappings().first()
            if found is None:
                raise _missing(report_id)
            report = value_of(found, GateReport)
            if report.override is not None:
                raise _conflict(report, report.override)
            given = msgspec.to_builtins(override)
            connection.execute(sa.update(GATE_REPORT).where(same).values(override=given))
            keep_change(connection, change)
        return replace(report, override=override)

    def get(self, report_id: str) -> GateReport:
        """See `Gates.get`."""
        found = self._found(sa.select(GATE_REPORT).where(ROWS.id == report_id))
        if not found:
            raise _missing(report_id)
        return found[0]

    def latest(self, package: str) -> GateReport | None:
        """See `Gates.latest`."""
        query = sa.select(GATE_REPORT).where(ROWS.package == package)
        found = self._found(query.order_by(ROWS.number.desc()).limit(1))
        return found[0] if found else None

    def list(self, model: str | None = None) -> tuple[GateReport, ...]:
        """See `Gates.list`."""
        found = self._found(sa.select(GATE_REPORT).order_by(ROWS.number))
        return tuple(
            one for one in found if model is None or one.version.rpartition(":")[0] == model
        )

    def _found(self, query: sa.Select[tuple[object, ...]]) -> tuple[GateReport, ...]:
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, GateReport) for row in found)


def _missing(report_id: str) -> GateReportMissingError:
    return GateReportMissingError(
        f"There is no report `{report_id}` of the gates.",
        why="no version of this home was judged under that id",
        fix="`servewell gates list` shows the reports there are",
    )


def _conflict(report: GateReport, before: GateOverride) -> StateConflictError:
    return StateConflictError(
        f"The report on {report.version} was overridden before.",
        why=f"`{before.principal}` did so, because {before.because}",
        fix="nothing is to be done: the version may be deployed",
    )
