"""The processes of this machine, as everybody but the supervisor sees them."""

import errno
import fcntl
import os
import shutil
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, TypeVar

import msgspec

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    storage_faults,
    write_atomically,
)
from servewell.adapters.embedded.processes import (
    HomeProcess,
    command_line,
    is_ours,
    processes_of,
    spawn_session,
)
from servewell.ports.clock import Clock
from servewell.ports.fleet import (
    FleetPlan,
    FleetState,
    NotServingError,
    PortTakenError,
    TelemetryMissingError,
)

START_WITHIN_S: Final = 20.0
LOOK_AGAIN_S: Final = 0.02
SAY_AGAIN_S: Final = 1.0  # between words to stop
LISTEN_BACKLOG: Final = 1_024
LOG_BYTES_MAX: Final = 10_000_000
SPANS_NEED: Final = ("opentelemetry.proto.collector", "opentelemetry.sdk")

Content = TypeVar("Content")


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor writes of itself. Which processes live is asked of the system."""

    pid: int
    started_at: float  # seconds since the epoch, UTC
    plan: FleetPlan
    fault: str  # why it could not start; or empty


class FleetFiles:
    """The run-time files that the supervisor and the others share."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run = home / "run"
        self.logs = home / "logs"
        self.plan = self.run / "plan.json"
        self.state = self.run / "supervisor.json"
        self.lock = self.run / "supervisor.lock"

    def written(self) -> Written | None:
        """Return what the last supervisor wrote, whether it lives or not."""
        return _read(self.state, Written)

    def planned(self) -> FleetPlan | None:
        """Return the plan that the last supervisor was started with."""
        return _read(self.plan, FleetPlan)

    def write(self, state: Written) -> None:
        """Replace what the supervisor says of itself.

        Raises: StorageError.
        """
        with storage_faults(self.state):
            write_atomically(self.state, msgspec.json.encode(state))

    def open_log(self, name: str) -> IO[bytes]:
        """Open the log of a process that starts; one that has grown large is put aside first.

        Raises: OSError.
        """
        path = self.logs / f"{name}.log"
        if path.exists():
            put_aside(path)
        return path.open("ab")

    def bound_logs(self) -> None:
        """Put aside what the processes have written, where it has grown large.

        Raises: OSError.
        """
        for path in self.logs.glob("*.log"):
            put_aside(path)


def put_aside(log: Path) -> None:
    """Keep a large log as the one before, and begin it anew under the hands of its writers.

    They append, so each goes on at the new end. What is written between copy and cut is lost.

    Raises: OSError.
    """
    if log.stat().st_size > LOG_BYTES_MAX:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


class ProcessFleet:
    """`Fleet` for one machine."""

    def __init__(self, home: Path, *, clock: Clock) -> None:
        self._files = FleetFiles(home)
        self._clock = clock
        self._child: int | None = None  # the supervisor, where this process started it

    def start(self, plan: FleetPlan) -> FleetState:
        """See `Fleet.start`."""
        refuse_missing_telemetry(plan)
        running = self.state()
        if running.supervisor is not None:
            return self._started(running.supervisor)
        refuse_taken_port(self._files, plan)
        with storage_faults(self._files.home):
            ensure_folder(self._files.logs)
            write_atomically(self._files.plan, msgspec.json.encode(plan))
            log = self._files.open_log("supervisor")
        with log:
            self._child = spawn_session(command_line("supervisor", self._files.home), log.fileno())
        return self._started(self._child)

    def state(self) -> FleetState:
        """See `Fleet.state`."""
        self._reap()
        found = processes_of(self._files.home)
        written = self._files.written()
        supervisor = _supervisor(found, written)
        own = written if written and supervisor in (None, written.pid) else None
        return FleetState(
            supervisor=supervisor,
            control=next((one.pid for one in found if one.role == "control"), None),
            workers={one.index: one.pid for one in found if one.index is not None},
            plan=own.plan if own else self._files.planned() if found else None,
            started_at=own.started_at if own and supervisor else None,
        )

    def scale(self, workers: int) -> None:
        """See `Fleet.scale`."""
        planned = self._files.planned()
        if planned is None or self.state().supervisor is None:
            raise NotServingError(
                "Nothing keeps workers running in this home.",
                why="no supervisor runs, and it is what starts and ends workers",
                fix="`servewell up FOLDER` starts one",
            )
        with storage_faults(self._files.plan):
            content = msgspec.json.encode(replace(planned, workers=workers))
            write_atomically(self._files.plan, content)

    def stop(self, timeout_s: float, *, lame_duck: bool = False) -> bool:
        """See `Fleet.stop`."""
        self._reap()
        running = processes_of(self._files.home)
        word = signal.SIGTERM if lame_duck else signal.SIGINT
        now = self._clock.now()
        end, say_at = now + timeout_s, now
        left = running
        while left := self._left(left):
            if self._clock.now() >= say_at:  # one that is just starting may not have heard it
                say_at += SAY_AGAIN_S
                for one in [one for one in left if one.role == "supervisor"] or left:
                    _signal(one.pid, word)
            if self._clock.now() > end:
                raise NotServingError(
                    f"Not everything stopped within {timeout_s:.0f} s.",
                    why="a process still finishes its requests, or hangs",
                    fix="`servewell status` shows what runs; `servewell down` again waits longer",
                )
            self._clock.sleep(LOOK_AGAIN_S)
        self._await_child(end)
        return bool(running)

    def logs(self) -> tuple[Path, ...]:
        """See `Fleet.logs`."""
        return tuple(sorted(self._files.logs.glob("*.log")))

    def _left(self, before: tuple[HomeProcess, ...]) -> tuple[HomeProcess, ...]:
        """Return those of before that still run, or else what was started since."""
        home = self._files.home
        left = tuple(one for one in before if is_ours(one.pid, one.role, home))
        return left or processes_of(home)

    def _started(self, pid: int) -> FleetState:
        """Return the state once this supervisor has its port and workers."""
        end = self._clock.now() + START_WITHIN_S
        while self._clock.now() < end:
            written = self._files.written()
            if written is not None and written.pid == pid and not written.fault:
                state = self.state()
                if state.workers:
                    return state
            if self._ended(pid):
                return self._lost_race_or_failed(pid)
            self._clock.sleep(LOOK_AGAIN_S)
        raise self._not_started(f"it had no workers after {START_WITHIN_S:.0f} s")

    def _lost_race_or_failed(self, pid: int) -> FleetState:
        """Return the state of the supervisor that another start made meanwhile, or say why not."""
        state, written = self.state(), self._files.written()
        if state.supervisor is not None:
            return self._started(state.supervisor)
        fault = written.fault if written is not None and written.pid == pid else ""
        raise self._not_started(fault or "it ended at once")

    def _ended(self, pid: int) -> bool:
        """Whether a supervisor has ended; a child may be too young to have its command line."""
        ours = pid == self._child
        self._reap()
        return self._child is None if ours else not is_ours(pid, "supervisor", self._files.home)

    def _await_child(self, end: float) -> None:
        """Let go of the supervisor that this process started; its last moments take time too."""
        self._reap()
        while self._child is not None and self._clock.now() < end:
            self._clock.sleep(LOOK_AGAIN_S)
            self._reap()

    def _reap(self) -> None:
        """Let go of the supervisor that this process started, once it has ended."""
        if self._child is not None and os.waitpid(self._child, os.WNOHANG)[0] != 0:
            self._child = None

    def _not_started(self, why: str) -> NotServingError:
        return NotServingError(
            "The supervisor did not start.",
            why=why,
            fix="`servewell logs supervisor` shows its last words; `servewell doctor` looks for "
            "the cause",
        )


@contextmanager
def only_supervisor(files: FleetFiles) -> Iterator[bool]:
    """Hold the lock that makes a process the supervisor of its home; False where another is.

    Raises: StorageError.
    """
    with storage_faults(files.lock):
        files.run.mkdir(parents=True, exist_ok=True)
        handle = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def refuse_missing_telemetry(plan: FleetPlan) -> None:
    """Refuse to export spans without the packages that make them.

    Raises: TelemetryMissingError.
    """
    if plan.telemetry.otlp_endpoint and not _is_installed(SPANS_NEED):
        raise TelemetryMissingError(
            "Spans cannot be exported.",
            why="`telemetry.otlp_endpoint` is set, and OpenTelemetry is not installed here",
            fix="install `servewell[telemetry]`, or take the key out of the workload",
        )


def _is_installed(modules: Iterable[str]) -> bool:
    try:
        return all(find_spec(one) is not None for one in modules)
    except ModuleNotFoundError:  # of a package above it
        return False


def refuse_taken_port(files: FleetFiles, plan: FleetPlan) -> None:
    """Refuse a port that anyone but a worker of this home listens on.

    Sharing a port is what our workers do, so the kernel would let a second home join them
    unnoticed; a socket that does not share is what finds out.

    Raises: PortTakenError.
    """
    written = files.written()
    ours = [known.port for known in (files.planned(), written and written.plan) if known]
    if plan.port in ours and any(one.role == "worker" for one in processes_of(files.home)):
        return
    try:
        open_socket(plan, shared=False).close()
    except OSError as error:
        raise port_taken(plan, error) from error


def open_socket(plan: FleetPlan, *, shared: bool) -> socket.socket:
    """Return a socket bound to the plan's address; `shared` lets our workers share the port.

    Raises: OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        plan.host, plan.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(address)
        opened.listen(LISTEN_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def port_taken(plan: FleetPlan, error: OSError) -> PortTakenError:
    """Return the error that says why the port cannot be had."""
    if error.errno == errno.EADDRINUSE:
        why = "another program, or another home of Servewell, listens on it"
    else:
        why = f"the system refuses it ({os.strerror(error.errno or 0)})"
    return PortTakenError(
        f"Port {plan.port} on {plan.host} cannot be used.",
        why=why,
        fix="stop that program, or choose another with `serving.port` in the workload or "
        "`--set serving.port=PORT`",
    )


def _supervisor(found: tuple[HomeProcess, ...], written: Written | None) -> int | None:
    """Return the one that holds the home; another may be about to find that it is too late."""
    pids = [one.pid for one in found if one.role == "supervisor"]
    return written.pid if written and written.pid in pids else next(iter(pids), None)


def _read(path: Path, kind: type[Content]) -> Content | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
