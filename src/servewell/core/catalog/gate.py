"""Gates: what a model version must pass before it may be deployed."""

from dataclasses import dataclass, field
from enum import StrEnum

from servewell.core.catalog.change import Change, ChangeKind


class GateVerdict(StrEnum):
    """What one gate, or a whole report, says."""

    PASS = "pass"  # noqa: S105  (no password)
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One row of the report."""

    group: str  # `data`, `quality`, `fairness`, `calibration`, `robustness`, `behaviour`, …
    gate: str  # what was looked at
    verdict: GateVerdict
    because: str  # with the reason where it cannot be told
    value: float | None = None
    low: float | None = None  # of its 95 % interval
    high: float | None = None
    bound: float | None = None  # that it is held to
    unit: str = ""
    rows: int = 0  # that it rests on
    slice: str = ""  # which rows, where not all: `origin = JFK`
    required: bool = True  # a row that is not cannot fail the report


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOverride:
    """A person lets a version through all the same."""

    principal: str
    because: str
    at: float  # seconds since the epoch, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What the gates said of one model version. It is kept with the version and never altered."""

    id: str
    version: str  # `model:number`
    package: str  # digest of what was judged
    champion: str | None  # `model:number` that it was compared with
    verdict: GateVerdict
    because: str
    rows: tuple[GateRow, ...]
    at: float  # seconds since the epoch, UTC
    page: str = ""  # digest of the HTML page
    document: str = ""  # digest of the JSON document, with what the plots show
    principal: str = ""  # who had it judged
    rules: str = ""  # digest of what it was judged by
    measured: bool = True  # False where the measuring itself failed
    number: int = 0  # given by the store: of two reports the later one has the larger
    override: GateOverride | None = field(default=None)

    @property
    def lets_through(self) -> bool:
        """Whether the version may be deployed."""
        return self.verdict is GateVerdict.PASS or self.override is not None

    @property
    def change(self) -> Change:
        """The line of history that tells of it."""
        beside = f" against {self.champion}" if self.champion else ""
        return Change(
            at=self.at,
            principal=self.principal,
            kind=ChangeKind.GATES_RUN,
            subject=self.version,
            because=f"judged{beside}: {self.verdict}, {self.because}",
        )
