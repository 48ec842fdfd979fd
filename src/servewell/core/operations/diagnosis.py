"""Judge what was seen of a home, its machine and a workload: what is well, and what is not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MEGABYTE: Final = 1_000_000
GIGABYTE: Final = 1_000 * MEGABYTE
MEMORY_LOW: Final = 500 * MEGABYTE
DISK_LOW: Final = GIGABYTE
DISK_FULL: Final = 50 * MEGABYTE
OPEN_FILES_LOW: Final = 1_024  # every connection of a caller is one
CONVERTERS: Final = ("sklearn", "xgboost", "lightgbm")
PORT_TAKEN: Final = "SW-503"
NOT_SERVING: Final = "SW-504"
UNWRITABLE: Final = "SW-501"
DAMAGED: Final = "SW-510"


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. All but what is well says why it is not, and what to do."""

    check: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What stood in the way of looking: an error, in its own words."""

    what: str
    why: str
    fix: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSeen:
    """The machine, and the folder of the state on it."""

    python: str
    platform: str
    cores: int
    memory_bytes: int
    open_files_max: int
    home: str
    home_exists: bool
    home_fault: str  # why it cannot be written; or empty
    disk_free_bytes: int
    extras: dict[str, bool]  # optional part -> whether it is installed


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """One worker that lives."""

    index: int
    snapshot: int  # version that it serves from
    ready: bool
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSeen:
    """The processes, and what they were to be."""

    supervisor: bool
    control: bool
    workers: tuple[WorkerSeen, ...]
    wanted: int  # workers; 0 where nothing was ever started
    host: str
    port: int
    port_free: bool | None  # None where it was not looked at

    @property
    def runs(self) -> bool:
        """Whether anything does."""
        return self.supervisor or self.control or bool(self.workers)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsSeen:
    """The prediction log."""

    records: int
    bytes: int
    bytes_max: int | None  # None where nothing was ever started
    damaged_bytes: int
    missing: int
    lost: int | None  # that workers could not write; None where they cannot be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSeen:
    """A workload file without a fault."""

    name: str
    extra: str  # optional part that its model needs; empty where it needs none
    trains: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was seen; a `Trouble` stands where looking failed, None where nobody did."""

    machine: MachineSeen
    database: int | Trouble | None  # revision of the state
    snapshot: int | Trouble | None  # its version, 0 for none
    packages: int | Trouble | None  # deployments whose packages are whole and signed by this home
    keys: tuple[Trouble, ...]
    fleet: FleetSeen
    records: RecordsSeen | Trouble | None
    workload: WorkloadSeen | Trouble | None


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Return a finding for everything that was looked at, in the order of dependence.

    Units: bytes; a missing part never hides what else can be judged.
    Raises: nothing.
    """
    return tuple(finding for rule in RULES for finding in rule(facts))


def worst_family(findings: tuple[Finding, ...]) -> int:
    """Return the family of errors that the worst fault belongs to; 0 where there is no fault.

    The machine (5) comes before the workload (1): nothing runs on a machine that is not well.
    """
    faults = {one.check for one in findings if one.level is Level.FAULT}
    if not faults:
        return 0
    return 1 if faults == {"workload"} else 5


def _machine(facts: Facts) -> Iterator[Finding]:
    seen = facts.machine
    yield _ok(
        "machine",
        f"Python {seen.python} on {seen.platform}, {seen.cores} cores, "
        f"{seen.memory_bytes / GIGABYTE:.1f} GB of memory",
    )
    if seen.memory_bytes < MEMORY_LOW:
        yield Finding(
            check="machine",
            level=Level.WARNING,
            what=f"Only {seen.memory_bytes // MEGABYTE} MB of memory may be used.",
            why="each worker holds every model that is live",
            fix="give the machine or the container more, or set `serving.workers` to 1",
        )
    if seen.open_files_max < OPEN_FILES_LOW:
        yield Finding(
            check="machine",
            level=Level.WARNING,
            what=f"A process may open only {seen.open_files_max} files.",
            why="every connection of a caller is one of them",
            fix="raise it with `ulimit -n 65536` before `servewell up`",
        )


def _home(facts: Facts) -> Iterator[Finding]:
    seen = facts.machine
    if seen.home_fault:
        yield Finding(
            check="home",
            level=Level.FAULT,
            what=f"`{seen.home}` cannot be written.",
            why=seen.home_fault,
            fix="give this user the right to it, or choose another folder with `--home`",
            code=UNWRITABLE,
        )
    else:
        words = "" if seen.home_exists else "; `servewell up` makes it"
        yield _ok("home", f"`{seen.home}` can be written{words}")


def _disk(facts: Facts) -> Iterator[Finding]:
    free = facts.machine.disk_free_bytes
    level = Level.FAULT if free < DISK_FULL else Level.WARNING
    if free < DISK_LOW:
        yield Finding(
            check="disk",
            level=level,
            what=f"Only {free // MEGABYTE} MB are free where the home is.",
            why="every prediction is recorded on it before its answer leaves",
            fix="free some space, or choose another disk with `--home`",
            code=UNWRITABLE if level is Level.FAULT else "",
        )
        return
    yield _ok("disk", f"{free / GIGABYTE:.1f} GB free")
    room = _room_for_records(facts)
    if room > free:
        yield Finding(
            check="disk",
            level=Level.WARNING,
            what=f"The prediction log may grow by {room / GIGABYTE:.1f} GB, and "
            f"{free / GIGABYTE:.1f} GB are free.",
            why="`records.bytes_max` lets it grow so far before the oldest records go",
            fix="lower `records.bytes_max` in the workload, or free some space",
        )


def _room_for_records(facts: Facts) -> int:
    match facts.records:
        case RecordsSeen(bytes=taken, bytes_max=int(most)):
            return most - taken
        case _:
            return 0


def _database(facts: Facts) -> Iterator[Finding]:
    match facts.database:
        case None:
            yield _ok("database", "none yet; `servewell up` makes it")
        case Trouble() as trouble:
            yield _fault("database", trouble)
        case int(revision):
            yield _ok("database", f"reachable, its tables are of this release, revision {revision}")


def _snapshot(facts: Facts) -> Iterator[Finding]:
    match facts.snapshot, facts.database:
        case Trouble() as trouble, _:
            yield _fault("snapshot", trouble)
        case None | 0, _:
            yield _ok("snapshot", "none yet; `servewell up` writes it")
        case int(version), int(revision) if version < revision:
            yield Finding(
                check="snapshot",
                level=Level.WARNING,
                what=f"The snapshot is at revision {version}, the state at {revision}.",
                why="a change was kept and not published yet; the control process does it",
                fix="look again in some seconds; `servewell up FOLDER` publishes it too",
            )
        case version, _:
            yield _ok("snapshot", f"whole, revision {version}")


def _packages(facts: Facts) -> Iterator[Finding]:
    match facts.packages:
        case Trouble() as trouble:
            yield _fault("models", trouble)
        case int(number) if number:
            yield _ok("models", f"{number} deployed, all whole and signed by this home")
        case _:
            return


def _keys(facts: Facts) -> Iterator[Finding]:
    for trouble in facts.keys:
        yield _fault("keys", trouble)
    if not facts.keys and facts.machine.home_exists:
        yield _ok("keys", "readable by this user alone")


def _processes(facts: Facts) -> Iterator[Finding]:
    seen = facts.fleet
    if not seen.runs:
        yield _ok("processes", "nothing runs; `servewell up FOLDER` starts it")
        return
    if not seen.supervisor:
        yield Finding(
            check="processes",
            level=Level.FAULT,
            what="The supervisor is dead.",
            why="its workers serve on, but nobody replaces one that dies",
            fix="run `servewell up FOLDER` again; serving goes on meanwhile",
            code=NOT_SERVING,
        )
    if seen.supervisor and not seen.control:
        yield Finding(
            check="processes",
            level=Level.FAULT,
            what="The control process does not run.",
            why="records are not compacted, and those past their time are not removed; serving "
            "goes on",
            fix="`servewell logs control` shows its last words; the supervisor starts it again",
            code=NOT_SERVING,
        )
    if len(seen.workers) < seen.wanted:
        yield Finding(
            check="processes",
            level=Level.FAULT,
            what=f"{len(seen.workers)} of {seen.wanted} workers run.",
            why="the others ended, and were not started again yet",
            fix="look again in two seconds; `servewell logs` shows the last words of each",
            code=NOT_SERVING,
        )
    elif seen.supervisor and seen.control:
        yield _ok("processes", f"supervisor, control and {len(seen.workers)} workers run")


def _workers(facts: Facts) -> Iterator[Finding]:
    newest = facts.snapshot if isinstance(facts.snapshot, int) else 0
    for one in facts.fleet.workers:
        if one.ready and not one.fault and one.snapshot >= newest:
            continue
        why = one.fault or f"it serves revision {one.snapshot} of {newest}"
        yield Finding(
            check="workers",
            level=Level.WARNING if one.ready else Level.FAULT,
            what=f"Worker {one.index} {'serves' if one.ready else 'is not ready'}"
            f"{', but not the newest snapshot.' if one.ready else '.'}",
            why=why,
            fix=f"`servewell logs worker-{one.index}` shows its words; what it names is what to "
            "repair",
            code="" if one.ready else NOT_SERVING,
        )


def _port(facts: Facts) -> Iterator[Finding]:
    seen = facts.fleet
    place = f"port {seen.port} on {seen.host}"
    if seen.workers:
        yield _ok("port", f"{place} is served by this home")
    elif seen.port_free is False:
        yield Finding(
            check="port",
            level=Level.FAULT,
            what=f"Nothing of this home serves on {place}, and it cannot be listened on.",
            why="another program or home has it, or this user may not use it",
            fix="stop that program, or choose another port with `serving.port` in the workload",
            code=PORT_TAKEN,
        )
    elif seen.port_free:
        yield _ok("port", f"{place} is free")


def _records(facts: Facts) -> Iterator[Finding]:
    match facts.records:
        case Trouble() as trouble:
            yield _fault("records", trouble)
        case RecordsSeen() as seen:
            yield from _log(seen)
        case None:
            return


def _log(seen: RecordsSeen) -> Iterator[Finding]:
    if seen.missing:
        yield Finding(
            check="records",
            level=Level.FAULT,
            what=f"{seen.missing:,} records are missing from the prediction log.",
            why="their numbers are skipped: they were written, and are not there any more",
            fix="restore the segments from a backup; check the disk",
            code=DAMAGED,
        )
    if seen.lost:
        yield Finding(
            check="records",
            level=Level.FAULT,
            what=f"{seen.lost:,} records were lost since the home was made.",
            why="workers answered, and could not write the record: the disk was full or failed",
            fix="make room on the disk; `records.when_full: refuse` answers nothing unrecorded",
            code=DAMAGED,
        )
    if seen.damaged_bytes:
        yield Finding(
            check="records",
            level=Level.WARNING,
            what=f"{seen.damaged_bytes:,} bytes of the prediction log cannot be read.",
            why="a part of a segment was damaged, or cut short by a kill; all whole records of it "
            "are kept",
            fix="the segments stand in `records/quarantine` for you to see; they go by retention",
        )
    if not (seen.missing or seen.lost or seen.damaged_bytes):
        counted = "none missing" if seen.lost is None else "none missing, none lost"
        yield _ok("records", f"{seen.records:,} records, {seen.bytes / MEGABYTE:.1f} MB, {counted}")


def _workload(facts: Facts) -> Iterator[Finding]:
    match facts.workload:
        case None:
            return
        case Trouble() as trouble:
            yield _fault("workload", trouble)
        case WorkloadSeen() as seen:
            yield from _parts(seen, facts.machine.extras)


def _parts(seen: WorkloadSeen, extras: dict[str, bool]) -> Iterator[Finding]:
    lacking = bool(seen.extra) and not extras.get(seen.extra, False)
    none_at_all = seen.trains and not any(extras.get(one, False) for one in CONVERTERS)
    if lacking or none_at_all:
        part = seen.extra or CONVERTERS[0]
        yield Finding(
            check="extras",
            level=Level.FAULT,
            what=f"The part `{part}` is not installed.",
            why=f"`{seen.name}` needs it to make or to convert its model",
            fix=f"install it with `pip install 'servewell[{part}]'`",
        )
    yield _ok("workload", f"`{seen.name}` has no faults")


def _ok(check: str, what: str) -> Finding:
    return Finding(check=check, level=Level.OK, what=what)


def _fault(check: str, trouble: Trouble) -> Finding:
    return Finding(
        check=check,
        level=Level.FAULT,
        what=trouble.what,
        why=trouble.why,
        fix=trouble.fix,
        code=trouble.code,
    )


# In the order of dependence: what comes first may explain what comes later.
RULES: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    _machine,
    _home,
    _disk,
    _keys,
    _database,
    _snapshot,
    _packages,
    _port,
    _processes,
    _workers,
    _records,
    _workload,
)
