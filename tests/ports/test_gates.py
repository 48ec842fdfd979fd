"""The contract of `Gates`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.gates import SqlGates
from servewell.adapters.embedded.history import SqlHistory
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.gate import GateOverride, GateReport, GateRow, GateVerdict
from servewell.ports.gates import GateReportMissingError, Gates
from servewell.ports.state import StateConflictError

ROW = GateRow(
    group="quality",
    gate="auc against the champion",
    verdict=GateVerdict.FAIL,
    because="loses 0.1",
    value=0.1,
    low=0.05,
    high=0.15,
    bound=0.01,
    unit="auc lost",
    rows=1_000,
    slice="origin = JFK",
    required=False,
)
REPORT = GateReport(
    id="g1",
    version="flights:2",
    package="p2",
    champion="flights:1",
    verdict=GateVerdict.FAIL,
    because="it loses too much",
    rows=(ROW, replace(ROW, value=None, low=None, high=None, bound=None)),
    at=10.5,
    page="a" * 64,
    document="b" * 64,
    rules="c" * 64,
    measured=False,
    principal="ada",
)
OVERRIDE = GateOverride(principal="ada", because="the old one is worse still", at=11.5)
CHANGE = Change(
    at=11.5,
    principal="ada",
    kind=ChangeKind.GATES_OVERRIDDEN,
    subject="flights:2",
    because="the old one is worse still",
)


@pytest.fixture(params=[pytest.param(SqlGates, id="sql")])
def gates(request: pytest.FixtureRequest, database: Database) -> Gates:
    """Each adapter in turn."""
    made: Gates = request.param(database)
    return made


def test_a_report_reads_back_as_it_was_kept(gates: Gates) -> None:
    """Nothing of it is lost; kept twice it is there once, as it was first."""
    kept = gates.keep(REPORT)
    assert kept == replace(REPORT, number=1)
    assert gates.keep(replace(REPORT, because="another")) == kept
    assert gates.get("g1") == kept
    assert gates.list() == (kept,)
    assert not kept.lets_through


def test_a_report_is_kept_with_its_line_of_history(gates: Gates, database: Database) -> None:
    """Once: who had what judged, and what came of it."""
    for _ in range(2):
        gates.keep(replace(REPORT, principal="bo"))
    [change] = SqlHistory(database).changes()
    assert (change.kind, change.principal) == (ChangeKind.GATES_RUN, "bo")
    assert (change.subject, change.at) == ("flights:2", 10.5)
    assert change.because == "judged against flights:1: fail, it loses too much"


def test_the_newest_report_of_a_package_counts(gates: Gates) -> None:
    """By the order in which they came, though the clock went back; another package's is not it."""
    newest = replace(REPORT, id="g0", at=2.0, verdict=GateVerdict.PASS, champion=None)
    other = replace(REPORT, id="g3", at=13.0, package="p3", version="trains:1")
    first, second, third = (gates.keep(one) for one in (REPORT, newest, other))
    assert gates.latest("p2") == second
    assert gates.latest("unknown") is None
    assert gates.list() == (first, second, third)
    assert gates.list("flights") == (first, second)
    assert gates.list("flight") == ()


def test_an_override_is_kept_with_its_line_of_history(gates: Gates, database: Database) -> None:
    """The report lets its version through from then on, and the history says who, and why."""
    kept = gates.keep(REPORT)
    overridden = gates.override("g1", OVERRIDE, CHANGE)
    assert overridden == replace(kept, override=OVERRIDE) == gates.get("g1")
    assert overridden.lets_through
    assert SqlHistory(database).changes()[-1] == replace(CHANGE, revision=2)
    gates.keep(REPORT)
    assert gates.latest("p2") == overridden


def test_an_override_is_given_once(gates: Gates, database: Database) -> None:
    """Of several at once one is kept, with one line of history."""
    gates.keep(REPORT)

    def given(name: str) -> bool:
        try:
            gates.override("g1", replace(OVERRIDE, principal=name), CHANGE)
        except StateConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(given, "abcd")) == 1
    kinds = [one.kind for one in SqlHistory(database).changes()]
    assert kinds == [ChangeKind.GATES_RUN, ChangeKind.GATES_OVERRIDDEN]


def test_a_missing_report_is_named(gates: Gates, database: Database) -> None:
    """Neither read nor overridden, and nothing enters the history."""
    with pytest.raises(GateReportMissingError, match="nowhere"):
        gates.get("nowhere")
    with pytest.raises(GateReportMissingError, match="nowhere"):
        gates.override("nowhere", OVERRIDE, CHANGE)
    assert SqlHistory(database).changes() == ()
