"""What is judged to be well, and what is not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.operations.diagnosis import (
    DISK_FULL,
    DISK_LOW,
    MEMORY_LOW,
    OPEN_FILES_LOW,
    Facts,
    Finding,
    FleetSeen,
    Level,
    MachineSeen,
    RecordsSeen,
    Trouble,
    WorkerSeen,
    WorkloadSeen,
    diagnose,
    worst_family,
)

BROKEN = Trouble(what="It is broken.", why="it fell", fix="mend it", code="SW-502")
MACHINE = MachineSeen(
    python="3.11.7",
    platform="Linux",
    cores=2,
    memory_bytes=MEMORY_LOW,
    open_files_max=OPEN_FILES_LOW,
    home="/home",
    home_exists=True,
    home_fault="",
    disk_free_bytes=DISK_LOW,
    extras={"sklearn": True, "xgboost": False, "lightgbm": False},
)
WORKER = WorkerSeen(index=0, snapshot=4, ready=True, fault="")
FLEET = FleetSeen(
    supervisor=True,
    control=True,
    workers=(WORKER, replace(WORKER, index=1)),
    wanted=2,
    host="127.0.0.1",
    port=8_080,
    port_free=None,
)
STOPPED = replace(FLEET, supervisor=False, control=False, workers=(), port_free=True)
RECORDS = RecordsSeen(
    records=7, bytes=1_000, bytes_max=DISK_LOW, damaged_bytes=0, missing=0, lost=0
)
WORKLOAD = WorkloadSeen(name="flights", extra="", trains=True)
WELL = Facts(
    machine=MACHINE,
    database=4,
    snapshot=4,
    packages=1,
    keys=(),
    fleet=FLEET,
    records=RECORDS,
    workload=WORKLOAD,
)


def amiss(facts: Facts) -> dict[str, Level]:
    """Return the level of every check that is not well."""
    return {one.check: one.level for one in diagnose(facts) if one.level is not Level.OK}


def machine(**changes: Any) -> Facts:  # noqa: ANN401 - any field
    """Return a home that is well on another machine."""
    return replace(WELL, machine=replace(MACHINE, **changes))


def fleet(**changes: Any) -> Facts:  # noqa: ANN401 - any field
    """Return a home that is well with other processes."""
    return replace(WELL, fleet=replace(FLEET, **changes))


def records(**changes: Any) -> Facts:  # noqa: ANN401 - any field
    """Return a home that is well with another prediction log."""
    return replace(WELL, records=replace(RECORDS, **changes))


def workload(**changes: Any) -> Facts:  # noqa: ANN401 - any field
    """Return a home that is well with another workload."""
    return replace(WELL, workload=replace(WORKLOAD, **changes))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(WELL, {}, id="well"),
        pytest.param(
            Facts(
                machine=replace(MACHINE, home_exists=False),
                database=None,
                snapshot=0,
                packages=None,
                keys=(),
                fleet=replace(STOPPED, wanted=0),
                records=None,
                workload=None,
            ),
            {},
            id="nothing-yet",
        ),
        pytest.param(replace(WELL, fleet=STOPPED), {}, id="stopped"),
        pytest.param(
            machine(memory_bytes=MEMORY_LOW - 1), {"machine": Level.WARNING}, id="little-memory"
        ),
        pytest.param(
            machine(open_files_max=OPEN_FILES_LOW - 1), {"machine": Level.WARNING}, id="few-files"
        ),
        pytest.param(machine(home_fault="read-only"), {"home": Level.FAULT}, id="home"),
        pytest.param(machine(disk_free_bytes=DISK_LOW - 1), {"disk": Level.WARNING}, id="disk-low"),
        pytest.param(
            machine(disk_free_bytes=DISK_FULL), {"disk": Level.WARNING}, id="disk-nearly-full"
        ),
        pytest.param(machine(disk_free_bytes=DISK_FULL - 1), {"disk": Level.FAULT}, id="disk-full"),
        pytest.param(
            records(bytes_max=DISK_LOW + 1_001), {"disk": Level.WARNING}, id="no-room-to-grow"
        ),
        pytest.param(replace(WELL, database=BROKEN), {"database": Level.FAULT}, id="database"),
        pytest.param(replace(WELL, database=5), {"snapshot": Level.WARNING}, id="unpublished"),
        pytest.param(replace(WELL, snapshot=BROKEN), {"snapshot": Level.FAULT}, id="snapshot"),
        pytest.param(replace(WELL, packages=BROKEN), {"models": Level.FAULT}, id="package"),
        pytest.param(replace(WELL, keys=(BROKEN, BROKEN)), {"keys": Level.FAULT}, id="keys"),
        pytest.param(
            replace(WELL, fleet=replace(STOPPED, port_free=False)),
            {"port": Level.FAULT},
            id="port-taken",
        ),
        pytest.param(fleet(supervisor=False), {"processes": Level.FAULT}, id="supervisor-dead"),
        pytest.param(fleet(control=False), {"processes": Level.FAULT}, id="control-dead"),
        pytest.param(fleet(workers=(WORKER,)), {"processes": Level.FAULT}, id="worker-dead"),
        pytest.param(
            fleet(workers=(WORKER, replace(WORKER, ready=False))),
            {"workers": Level.FAULT},
            id="worker-not-ready",
        ),
        pytest.param(
            fleet(workers=(WORKER, replace(WORKER, snapshot=3))),
            {"workers": Level.WARNING},
            id="worker-behind",
        ),
        pytest.param(
            fleet(workers=(WORKER, replace(WORKER, fault="no such blob"))),
            {"workers": Level.WARNING},
            id="worker-with-a-fault",
        ),
        pytest.param(replace(WELL, records=BROKEN), {"records": Level.FAULT}, id="log-unreadable"),
        pytest.param(records(missing=1), {"records": Level.FAULT}, id="record-missing"),
        pytest.param(records(lost=1), {"records": Level.FAULT}, id="record-lost"),
        pytest.param(records(damaged_bytes=1), {"records": Level.WARNING}, id="record-damaged"),
        pytest.param(records(lost=None), {}, id="loss-unknown"),
        pytest.param(replace(WELL, workload=BROKEN), {"workload": Level.FAULT}, id="workload"),
        pytest.param(workload(extra="sklearn", trains=False), {}, id="part-there"),
        pytest.param(
            workload(extra="xgboost", trains=False), {"extras": Level.FAULT}, id="part-missing"
        ),
        pytest.param(
            machine(extras={"postgres": True}), {"extras": Level.FAULT}, id="nothing-to-convert"
        ),
    ],
)
def test_each_fact_has_its_finding(facts: Facts, expected: dict[str, Level]) -> None:
    """One thing amiss gives one finding, of the right weight, at its boundary."""
    assert amiss(facts) == expected


@pytest.mark.parametrize(
    ("facts", "family"),
    [
        pytest.param(WELL, 0, id="well"),
        pytest.param(records(damaged_bytes=1), 0, id="a-warning-is-no-fault"),
        pytest.param(replace(WELL, workload=BROKEN), 1, id="workload"),
        pytest.param(machine(home_fault="read-only"), 5, id="machine"),
        pytest.param(
            replace(WELL, workload=BROKEN, database=BROKEN), 5, id="the-machine-comes-first"
        ),
    ],
)
def test_the_worst_family_is_that_of_a_fault(facts: Facts, family: int) -> None:
    """Warnings fail nothing; the machine outweighs the workload."""
    assert worst_family(diagnose(facts)) == family


def test_trouble_keeps_its_own_words() -> None:
    """An error that was met while looking is told as it tells itself."""
    found = [one for one in diagnose(replace(WELL, database=BROKEN)) if one.level is Level.FAULT]
    expected = Finding(
        check="database",
        level=Level.FAULT,
        what=BROKEN.what,
        why=BROKEN.why,
        fix=BROKEN.fix,
        code=BROKEN.code,
    )
    assert found == [expected]


sizes = st.integers(0, 4 * DISK_LOW)
troubles = st.just(BROKEN)
workers = st.builds(
    WorkerSeen,
    index=st.integers(0, 3),
    snapshot=st.integers(0, 5),
    ready=st.booleans(),
    fault=st.sampled_from(["", "no such blob"]),
)
anything = st.builds(
    Facts,
    machine=st.builds(
        MachineSeen,
        memory_bytes=sizes,
        disk_free_bytes=sizes,
        home_fault=st.sampled_from(["", "read-only"]),
        extras=st.dictionaries(st.sampled_from(["sklearn", "xgboost"]), st.booleans()),
    ),
    database=st.none() | troubles | st.integers(0, 5),
    snapshot=st.none() | troubles | st.integers(0, 5),
    packages=st.none() | troubles | st.integers(0, 2),
    keys=st.lists(troubles, max_size=2).map(tuple),
    fleet=st.builds(
        FleetSeen, workers=st.lists(workers, max_size=3).map(tuple), wanted=st.integers(0, 3)
    ),
    records=st.none() | troubles | st.builds(RecordsSeen, bytes=sizes, bytes_max=sizes),
    workload=st.none() | troubles | st.builds(WorkloadSeen, extra=st.sampled_from(["", "sklearn"])),
)


@given(facts=anything)
def test_whatever_is_amiss_says_the_next_step(facts: Facts) -> None:
    """No fault or warning is without a reason and a next step; what is well needs neither."""
    for finding in diagnose(facts):
        assert finding.what
        assert bool(finding.why) == bool(finding.fix) == (finding.level is not Level.OK)


@given(facts=anything)
def test_one_trouble_hides_no_other(facts: Facts) -> None:
    """Every trouble that was met is told, whatever else is broken."""
    met = [facts.database, facts.snapshot, facts.packages, facts.records, facts.workload]
    expected = sum(one is BROKEN for one in met) + len(facts.keys)
    assert sum(one.what == BROKEN.what for one in diagnose(facts)) == expected
