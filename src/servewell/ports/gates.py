"""Reports of the gates, kept with the versions that they judged."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.gate import GateOverride, GateReport
from servewell.errors import ServewellError


class GateReportMissingError(ServewellError):
    """No report has that id, or the version was never judged."""

    code = "SW-220"


class Gates(Protocol):
    """Remembers what the gates said.

    Every implementation passes tests/ports/test_gates.py, and holds:
    - a report never changes but for its override, which is given once and kept together with the
      line of history that tells of it;
    - the newest report of a package is the one that counts.

    All methods raise StateUnavailableError.
    """

    def keep(self, report: GateReport) -> None:
        """Keep a report; keeping the same one twice is the same as once."""
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
