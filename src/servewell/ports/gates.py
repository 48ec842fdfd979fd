"""Reports of the gates, kept with the versions that they judged."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.gate import GateOverride, GateReport
from servewell.errors import ServewellError


class GateReportMissingError(ServewellError):
    """No report has that id, or the version was never judged."""

    code = "SW-220"


class GatesNotPassedError(ServewellError):
    """The gates do not let a version through, or were never asked about it."""

    code = "SW-229"

    @classmethod
    def of(cls, report: GateReport) -> "GatesNotPassedError":
        """Return the refusal of a version by what its report says."""
        return cls(
            f"The gates do not let {report.version} through.",
            why=report.because,
            fix=f"`servewell gates show {report.version}` shows every row; mend the model, or let "
            f'it through by your word: `servewell gates override {report.version} --because "…"`',
        )

    @classmethod
    def champion_changed(cls, report: GateReport, champion: str) -> "GatesNotPassedError":
        """Return the refusal of a version that was not compared with what serves now."""
        beside = f"against {report.champion}" if report.champion else "by itself"
        return cls(
            f"{report.version} was not judged against {champion}, which serves most now.",
            why=f"its newest report judged it {beside}",
            fix=f"`servewell gates run {report.version}` judges it against {champion}",
        )

    @classmethod
    def never_judged(cls, version: str) -> "GatesNotPassedError":
        """Return the refusal of a version that has no report."""
        return cls(
            f"{version} was never judged.",
            why="a version gets requests only when the gates have let it through",
            fix=f"`servewell gates run {version}` judges it",
        )


class Gates(Protocol):
    """Remembers what the gates said.

    Every implementation passes tests/ports/test_gates.py, and holds:
    - a report never changes but for its override, which is given once and kept together with the
      line of history that tells of it;
    - each report that is kept gives one line of history, together with it;
    - the newest report of a package is the one that counts: the one that was kept last, whatever
      the clock said.

    All methods raise StateUnavailableError.
    """

    def keep(self, report: GateReport) -> GateReport:
        """Keep a report, and return it with its number; twice is the same as once."""
        ...

    def override(self, report_id: str, override: GateOverride, change: Change) -> GateReport:
        """Let a version through by a person's word; return the report with it.

        Raises: GateReportMissingError, StateConflictError where it has one already.
        """
        ...

    def get(self, report_id: str) -> GateReport:
        """Return a report.

        Raises: GateReportMissingError.
        """
        ...

    def latest(self, package: str) -> GateReport | None:
        """Return the newest report of a package, by its digest, or None."""
        ...

    def list(self, model: str | None = None) -> tuple[GateReport, ...]:
        """Return the reports, oldest first; of one model, or of all."""
        ...
