"""The processes of this machine, as everybody but the supervisor sees them."""

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    storage_faults,
    write_atomically,
)
from servewell.adapters.embedded.processes import command_line, is_ours, spawn_session
from servewell.ports.clock import Clock
from servewell.ports.fleet import FleetPlan, FleetState, NotServingError, PortTakenError

START_WITHIN_S: Final = 20.0
LOOK_AGAIN_S: Final = 0.02
LISTEN_BACKLOG: Final = 1_024


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor writes of itself whenever it changes."""

    pid: int
    started_at: float
    plan: FleetPlan
    control: int | None
    workers: dict[int, int]
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
        try:
            return msgspec.json.decode(self.state.read_bytes(), type=Written)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, state: Written) -> None:
        """Replace what the supervisor says of itself."""
        write_atomically(self.state, msgspec.json.encode(state))

    def living_workers(self, written: Written) -> dict[int, int]:
        """Return the workers of this home that live, by index."""
        return {
            index: pid
            for index, pid in written.workers.items()
            if is_ours(pid, "worker", self.home)
        }


class ProcessFleet:
    """`Fleet` for one machine."""

    def __init__(self, home: Path, *, clock: Clock) -> None:
        self._files = FleetFiles(home)
        self._clock = clock
        self._child: int | None = None  # the supervisor, where this process started it

    def start(self, plan: FleetPlan) -> FleetState:
        """See `Fleet.start`."""
        running = self.state()
        if running.supervisor is not None:
            return running
        refuse_taken_port(self._files, plan)
        with storage_faults(self._files.home):
            ensure_folder(self._files.logs)
            write_atomically(self._files.plan, msgspec.json.encode(plan))
            log = (self._files.logs / "supervisor.log").open("ab")
        with log:
            self._child = spawn_session(command_line("supervisor", self._files.home), log.fileno())
        return self._started(self._child)

    def state(self) -> FleetState:
        """See `Fleet.state`."""
        self._child_ended()
        written = self._files.written()
        if written is None:
            return FleetState(supervisor=None, control=None, workers={}, plan=None, started_at=None)
        home = self._files.home
        lives = is_ours(written.pid, "supervisor", home)
        control = written.control
        return FleetState(
            supervisor=written.pid if lives else None,
            control=control if control and is_ours(control, "control", home) else None,
            workers=self._files.living_workers(written),
            plan=written.plan,
            started_at=written.started_at if lives else None,
        )

    def stop(self, timeout_s: float) -> bool:
        """See `Fleet.stop`."""
        before = self.state()
        running = _processes(before)
        told = {"supervisor": before.supervisor} if before.supervisor else running
        for pid in told.values():
            _signal(pid, signal.SIGTERM)
        end = self._clock.now() + timeout_s
        while self._any_left(running):
            if self._clock.now() > end:
                raise NotServingError(
                    f"Not everything stopped within {timeout_s:.0f} s.",
                    why="a process still finishes its requests, or hangs",
                    fix="`servewell status` shows what runs; `servewell down` again waits longer",
                )
            self._clock.sleep(LOOK_AGAIN_S)
        self._child_ended()
        return bool(running)

    def logs(self) -> tuple[Path, ...]:
        """See `Fleet.logs`."""
        return tuple(sorted(self._files.logs.glob("*.log")))

    def _any_left(self, before: dict[str, int]) -> bool:
        """Whether one of those that ran, or one that was started since, still runs."""
        running = {**before, **_processes(self.state())}
        return any(
            is_ours(pid, name.partition("-")[0], self._files.home) for name, pid in running.items()
        )

    def _started(self, pid: int) -> FleetState:
        end = self._clock.now() + START_WITHIN_S
        while self._clock.now() < end:
            written = self._files.written()
            if written is not None and written.pid == pid and written.workers:
                return self.state()
            if self._child_ended():
                return self._lost_race_or_failed(self._files.written(), pid)
            self._clock.sleep(LOOK_AGAIN_S)
        raise self._not_started(f"it had no workers after {START_WITHIN_S:.0f} s")

    def _lost_race_or_failed(self, written: Written | None, pid: int) -> FleetState:
        """Return the state of the supervisor that another start made meanwhile, or say why not."""
        state = self.state()
        if state.supervisor is not None:
            return state
        fault = written.fault if written is not None and written.pid == pid else ""
        raise self._not_started(fault or "it ended at once")

    def _child_ended(self) -> bool:
        """Whether the supervisor that this process started has ended; reaps it."""
        if self._child is None or os.waitpid(self._child, os.WNOHANG)[0] == 0:
            return self._child is None
        self._child = None
        return True

    def _not_started(self, why: str) -> NotServingError:
        return NotServingError(
            "The supervisor did not start.",
            why=why,
            fix="`servewell logs supervisor` shows its last words; `servewell doctor` looks for "
            "the cause",
        )


@contextmanager
def only_supervisor(files: FleetFiles) -> Iterator[bool]:
    """Hold the lock that makes a process the supervisor of its home; False where another is."""
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


def refuse_taken_port(files: FleetFiles, plan: FleetPlan) -> None:
    """Refuse a port that anyone but a worker of this home listens on.

    Sharing a port is what our workers do, so the kernel would let a second home join them
    unnoticed; a socket that does not share is what finds out.

    Raises: PortTakenError.
    """
    written = files.written()
    if written and files.living_workers(written) and written.plan.port == plan.port:
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


def _processes(state: FleetState) -> dict[str, int]:
    """Return the pids of what runs: `supervisor`, `control`, `worker-0` and so on."""
    named = {"supervisor": state.supervisor, "control": state.control}
    workers = {f"worker-{index}": pid for index, pid in state.workers.items()}
    return {**{name: pid for name, pid in named.items() if pid}, **workers}


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
