"""The supervisor: keeps the workers and the control process of one home running.

It holds the listening socket, so a worker that dies loses no connection that it had not accepted.
Workers do not die with it: a supervisor that follows finds them, starts its own beside them on
the same port, and ends them once its own are ready.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from servewell.adapters.embedded.fleet import (
    FleetFiles,
    Written,
    only_supervisor,
    open_socket,
    port_taken,
    refuse_taken_port,
)
from servewell.adapters.embedded.processes import command_line, is_ours
from servewell.errors import ServewellError
from servewell.ports.fleet import FleetPlan
from servewell.ports.snapshots import Snapshots

TICK_S: Final = 0.25
STEADY_S: Final = 5.0  # a process that lived so long starts again at once
RESTART_DELAYS_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
SUCCESSION_WITHIN_S: Final = 30.0
KILL_AFTER_S: Final = 5.0  # beyond the drain


@dataclass(slots=True, kw_only=True)
class Child:
    """One process that is kept running."""

    role: str
    log: Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0  # monotonic seconds
    restart_at: float = 0.0
    short_lives: int = 0


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """The children of one home and the socket that the workers share."""

    files: FleetFiles
    plan: FleetPlan
    snapshots: Snapshots
    listener: socket.socket
    orphans: dict[int, int]  # workers of a supervisor that died: index -> pid
    relieved_at: float | None = None  # monotonic seconds; when the orphans were told to drain
    workers: dict[int, Child] = field(default_factory=dict)
    control: Child | None = None
    stopping: bool = False

    def run(self) -> None:
        """Keep everything running until a signal says stop; then drain and stop it."""
        wake = _wake_on_signals(self)
        self._plan_children()
        succession_ends = time.monotonic() + SUCCESSION_WITHIN_S
        while not self.stopping:
            if self._revive():
                self._write()
            if self.orphans:
                self._relieve(succession_ends)
            select.select([wake], [], [], TICK_S)
            _drain(wake)
        self._stop()

    def _plan_children(self) -> None:
        free = (index for index in range(len(self.orphans) + self.plan.workers))
        indexes = [index for index in free if index not in self.orphans][: self.plan.workers]
        for index in indexes:
            self.workers[index] = Child(
                role="worker",
                log=self.files.logs / f"worker-{index}.log",
                arguments=(
                    str(index),
                    str(self.listener.fileno()),
                    str(self.plan.drain_s),
                    str(self.plan.record_bytes_max),
                ),
            )
        self.control = Child(role="control", log=self.files.logs / "control.log")

    def _children(self) -> list[Child]:
        return [*self.workers.values(), *([self.control] if self.control else [])]

    def _revive(self) -> bool:
        """Start what is not running and may start again; whether anything changed."""
        now = time.monotonic()
        changed = False
        for child in self._children():
            if child.process is not None and child.process.poll() is not None:
                _note_death(child, now)
                changed = True
            if child.process is None and now >= child.restart_at:
                self._start(child, now)
                changed = True
        return changed

    def _start(self, child: Child, now: float) -> None:
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(
                command_line(child.role, self.files.home, *child.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self.listener.fileno(),) if child.role == "worker" else (),
                start_new_session=True,
            )
        child.started = now

    def _own_ready(self) -> bool:
        ready = {report.pid for report in self.snapshots.reports() if report.ready}
        return all(
            child.process is not None and child.process.pid in ready
            for child in self.workers.values()
        )

    def _relieve(self, succession_ends: float) -> None:
        """End the orphans once one's own workers are ready; they are ours until they are gone."""
        now = time.monotonic()
        if self.relieved_at is None and (self._own_ready() or now > succession_ends):
            say(f"{len(self.orphans)} workers of the supervisor before drain")
            self._signal_orphans(signal.SIGTERM)
            self.relieved_at = now
        elif self.relieved_at and now > self.relieved_at + self.plan.drain_s + KILL_AFTER_S:
            self._signal_orphans(signal.SIGKILL)
        home = self.files.home
        living = {i: pid for i, pid in self.orphans.items() if is_ours(pid, "worker", home)}
        if living != self.orphans:
            self.orphans = living
            self._write()

    def _signal_orphans(self, number: signal.Signals) -> None:
        for pid in self.orphans.values():
            _kill(pid, number)

    def _stop(self) -> None:
        self.listener.close()
        say("stopping: workers drain")
        children = [child.process for child in self._children() if child.process is not None]
        for pid in [*self.orphans.values(), *(process.pid for process in children)]:
            _kill(pid, signal.SIGTERM)
        end = time.monotonic() + self.plan.drain_s + KILL_AFTER_S
        for process in children:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                say(f"process {process.pid} did not end in time and is killed")
                process.kill()
                process.wait()
        self.files.state.unlink(missing_ok=True)
        say("stopped")

    def _write(self) -> None:
        pids = {i: child.process.pid for i, child in self.workers.items() if child.process}
        control = self.control.process.pid if self.control and self.control.process else None
        self.files.write(
            Written(
                pid=os.getpid(),
                started_at=time.time(),
                plan=self.plan,
                control=control,
                workers={**self.orphans, **pids},
                fault="",
            )
        )


def supervise(home: Path, snapshots: Snapshots) -> int:
    """Run the supervisor of a home by the plan that was written for it; return the exit code."""
    files = FleetFiles(home)
    with only_supervisor(files) as alone:
        if not alone:
            say("another supervisor runs in this home")
            return 1
        plan = msgspec.json.decode(files.plan.read_bytes(), type=FleetPlan)
        before = files.written()
        orphans = files.living_workers(before) if before else {}
        if before and before.control and is_ours(before.control, "control", home):
            _kill(before.control, signal.SIGTERM)
        try:
            refuse_taken_port(files, plan)
            listener = _listen(plan)
        except ServewellError as error:
            say(str(error))
            fault = f"{error.what} {error.why}"
            files.write(
                Written(
                    pid=os.getpid(),
                    started_at=time.time(),
                    plan=plan,
                    control=None,
                    workers=orphans,
                    fault=fault,
                )
            )
            return 1
        say(f"serving on {plan.host}:{plan.port} with {plan.workers} workers")
        Supervisor(
            files=files, plan=plan, snapshots=snapshots, listener=listener, orphans=orphans
        ).run()
    return 0


def say(words: str) -> None:
    """Write a line to the supervisor's log."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(f"{stamp} supervisor {os.getpid()}: {words}\n")
    sys.stderr.flush()


def _listen(plan: FleetPlan) -> socket.socket:
    try:
        return open_socket(plan, shared=True)
    except OSError as error:
        raise port_taken(plan, error) from error


def _note_death(child: Child, now: float) -> None:
    assert child.process is not None  # noqa: S101 - only a child that ran can have died
    lived = now - child.started
    child.short_lives = 0 if lived >= STEADY_S else child.short_lives + 1
    delay = RESTART_DELAYS_S[min(child.short_lives, len(RESTART_DELAYS_S) - 1)]
    child.restart_at = now + delay
    say(
        f"{child.log.stem} {child.process.pid} ended ({_ending(child.process.returncode)}) after "
        f"{lived:.1f} s; it starts again in {delay:g} s"
    )
    child.process = None


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _wake_on_signals(supervisor: Supervisor) -> int:
    """Return a descriptor that becomes readable at each signal that matters."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write)

    def stop(number: int, frame: object) -> None:
        del number, frame
        supervisor.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # noqa: ARG005 - only to wake up
    return read


def _drain(wake: int) -> None:
    try:
        while os.read(wake, 512):
            pass
    except BlockingIOError:
        return


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
