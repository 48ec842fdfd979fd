"""The supervisor: keeps the workers and the control process of one home running.

It holds the listening socket, so a worker that dies loses no connection that it had not accepted.
Workers do not die with it: a supervisor that follows finds them, starts its own beside them on
the same port, and ends them once its own are ready.

A worker tells that it is alive by a byte a second through a pipe, which needs no disk and no clock;
one that stops to is killed, and replaced like one that died.

A disk that is full, or a machine out of files, does not end it: it says so and tries again.
"""

import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
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
from servewell.adapters.embedded.processes import (
    HomeProcess,
    command_line,
    is_ours,
    processes_of,
)
from servewell.adapters.embedded.steering import steer_to_newest
from servewell.core.reliability.quarantine import ended_by_itself
from servewell.errors import ServewellError
from servewell.ports.fleet import FleetPlan, running_note
from servewell.ports.snapshots import Snapshots
from servewell.ports.storage import StorageError

TICK_S: Final = 0.25
STEERED_S: Final = 0.5  # in which connections that are being opened come to the orphans
LOGS_EVERY_S: Final = 5.0
STEADY_S: Final = 5.0  # a process that lived so long starts again at once
RESTART_DELAYS_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
KILL_AFTER_S: Final = 5.0  # beyond the drain
SAY_AGAIN_S: Final = 1.0  # between words to stop
HUNG_S: Final = 15.0  # without a sign of life of a worker that gave one
PIPE_BYTES: Final = 65_536


@dataclass(slots=True, kw_only=True)
class Child:
    """One process that is kept running."""

    role: str
    name: str  # of its log
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0  # monotonic seconds
    restart_at: float = 0.0
    short_lives: int = 0
    at_fault: bool = False  # whether what it ran was what it ended by the last time
    pulse: int | None = None  # a worker's pipe, as it is read
    beaten_at: float | None = None  # monotonic seconds; None until it gave a sign of life


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """The children of one home and the socket that the workers share."""

    files: FleetFiles
    plan: FleetPlan
    snapshots: Snapshots
    listener: socket.socket
    orphans: tuple[HomeProcess, ...]  # workers of a supervisor that died
    leaving: list[Child] = field(default_factory=list)  # workers that were told to go
    started_at: float  # seconds since the epoch, UTC
    steered_at: float | None = None  # monotonic seconds; when the orphans got no more connections
    relieved_at: float | None = None  # monotonic seconds; when the orphans were told to drain
    workers: dict[int, Child] = field(default_factory=dict)
    control: Child | None = None
    word: signal.Signals | None = None  # by which it was told to stop
    plan_stamp: tuple[int, int] | None = None  # of the plan that was read last
    logs_at: float = 0.0  # monotonic seconds; when the logs are looked at next
    written: bool = False  # whether the file about this supervisor is on the disk
    troubles: tuple[str, ...] = ()  # of the last tick, as they were said
    lacking: str = ""  # why the orphans are kept, as it was said
    hung_s: float = HUNG_S

    def run(self) -> None:
        """Keep everything running until a signal says stop; then drain and stop it."""
        wake = _wake_on_signals(self)
        self._plan_children()
        while self.word is None:
            self.tick()
            _sleep(wake)
        self._stop(wake)

    def tick(self) -> None:
        """Do what is due now; what the machine refuses is said, and due again at the next tick."""
        revivals = [partial(self._revive, child) for child in self._children()]
        steps: list[Callable[[], None]] = [
            self._adopt,
            *revivals,
            self._end_hung,
            self._write,
            self._relieve,
            self._see_off,
            self._bound_logs,
        ]
        troubles = tuple(_trouble(step) for step in steps)
        for trouble in dict.fromkeys(troubles):
            if trouble and trouble not in self.troubles:
                say(f"{trouble}; trying again")
        self.troubles = troubles

    def _plan_children(self) -> None:
        self._plan_workers()
        self.control = Child(role="control", name="control")

    def _plan_workers(self) -> None:
        """Plan a worker for each that lacks; tell those to go that are too many."""
        taken = {orphan.index for orphan in self.orphans} | {*self.workers}
        taken |= {int(one.arguments[0]) for one in self.leaving}
        free = (index for index in itertools.count() if index not in taken)
        while len(self.workers) < self.plan.workers:
            index = next(free)
            self.workers[index] = self._worker(index)
        while len(self.workers) > self.plan.workers:
            self._send_off(self.workers.pop(max(self.workers)))

    def _worker(self, index: int) -> Child:
        plan = msgspec.json.encode(self.plan).decode()
        arguments = (str(index), str(self.listener.fileno()), plan)
        return Child(role="worker", name=f"worker-{index}", arguments=arguments)

    def _adopt(self) -> None:
        """Keep as many workers as the plan on the disk says by now."""
        found = self.files.plan.stat()
        stamp = (found.st_ino, found.st_mtime_ns)
        if stamp == self.plan_stamp:
            return
        self.plan_stamp = stamp
        planned = self.files.planned()
        if planned is None or planned.workers == self.plan.workers:
            return
        say(f"{planned.workers} workers from now on, {self.plan.workers} before")
        self.plan = replace(self.plan, workers=planned.workers)
        self._plan_workers()
        self.written = False

    def _send_off(self, child: Child) -> None:
        """Tell a worker to close its door, which others keep open, and to end what it began."""
        if child.process is not None:
            _kill(child.process.pid, signal.SIGINT)
            child.restart_at = time.monotonic() + self.plan.drain_s + KILL_AFTER_S
            self.leaving.append(child)

    def _see_off(self) -> None:
        """Let go of workers that have gone, and end those that do not go in time."""
        for child in tuple(self.leaving):
            assert child.process is not None  # noqa: S101 - only who ran can leave
            if child.process.poll() is not None:
                say(f"{child.name} {child.process.pid} has gone")
                _close_pulse(child)
                self.leaving.remove(child)
            elif time.monotonic() > child.restart_at:
                child.process.kill()

    def _bound_logs(self) -> None:
        now = time.monotonic()
        if now >= self.logs_at:
            self.logs_at = now + LOGS_EVERY_S
            self.files.bound_logs()

    def _children(self) -> list[Child]:
        return [*self.workers.values(), *([self.control] if self.control else [])]

    def _revive(self, child: Child) -> None:
        """Start a child that does not run and may start again."""
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            _note_death(child, now)
        if child.process is None and now >= child.restart_at:
            self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        if child.role == "worker":
            self._start_worker(child)
        else:
            self._spawn(child)
        child.started = now

    def _start_worker(self, child: Child) -> None:
        if not child.at_fault:  # or the next one would blame the model that ran
            with suppress(OSError):
                (self.files.run / running_note(int(child.arguments[0]))).unlink(missing_ok=True)
        _close_pulse(child)
        child.pulse, beaten = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._spawn(child, self.listener.fileno(), beaten)
        finally:
            os.close(beaten)

    def _spawn(self, child: Child, *passed: int) -> None:
        words = [*child.arguments, *(str(one) for one in passed[1:])]
        with self.files.open_log(child.name) as log:
            child.process = subprocess.Popen(
                command_line(child.role, self.files.home, *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
                start_new_session=True,
            )

    def _end_hung(self) -> None:
        """Kill the workers that gave signs of life and give none any more."""
        now = time.monotonic()
        for child in self.workers.values():
            if child.process is None or child.pulse is None:
                continue
            if _drain(child.pulse):
                child.beaten_at = now
            elif child.beaten_at is not None and now > child.beaten_at + self.hung_s:
                say(f"{child.name} {child.process.pid} hangs, and is killed")
                child.process.kill()
                child.beaten_at = None

    def _lacking(self) -> str:
        """Return which of its own workers are not ready, and why; empty where all are."""
        reports = {report.pid: report for report in self.snapshots.reports()}
        lacking = []
        for child in self.workers.values():
            report = reports.get(child.process.pid) if child.process else None
            if report is None or not report.ready:
                fault = report.fault if report else ""
                lacking.append(f"{child.name} ({fault or 'not ready yet'})")
        return ", ".join(lacking)

    def _relieve(self) -> None:
        """End the orphans once one's own workers are ready; they are ours until they are gone."""
        if not self.orphans:
            return
        now = time.monotonic()
        if self.relieved_at is None:
            self._relieve_if_ready(now)
        elif now > self.relieved_at + self.plan.drain_s + KILL_AFTER_S:
            self._signal_orphans(signal.SIGKILL)
        self.orphans = tuple(one for one in self.orphans if self._lives(one))

    def _relieve_if_ready(self, now: float) -> None:
        lacking = self._lacking()
        if not lacking and self.steered_at is None:
            self.steered_at = now
            steer_to_newest(self.listener)
        elif not lacking and self.steered_at is not None and now > self.steered_at + STEERED_S:
            say(f"{len(self.orphans)} workers of the supervisor before drain")
            self._signal_orphans(signal.SIGINT)
            self.relieved_at = now
        elif lacking and lacking != self.lacking:
            say(f"{len(self.orphans)} workers of the supervisor before serve on, for {lacking}")
        self.lacking = lacking

    def _lives(self, orphan: HomeProcess) -> bool:
        return is_ours(orphan.pid, orphan.role, self.files.home)

    def _signal_orphans(self, number: signal.Signals) -> None:
        for orphan in self.orphans:
            _kill(orphan.pid, number)

    def _stop(self, wake: int) -> None:
        """Pass on the word by which we were told to stop, and another if one comes; wait."""
        self.listener.close()
        children = [*self._children(), *self.leaving]
        left = [child.process for child in children if child.process is not None]
        passed_on: signal.Signals | None = None
        end = say_at = 0.0
        while left := [one for one in left if one.poll() is None]:
            now = time.monotonic()
            if self.word is not None and self.word is not passed_on:
                passed_on = self.word
                lame_duck_s = self.plan.lame_duck_s if passed_on is signal.SIGTERM else 0.0
                end = now + lame_duck_s + self.plan.drain_s + KILL_AFTER_S
                say(f"stopping by {passed_on.name}: workers drain")
                say_at = now
            if passed_on is not None and now >= say_at:  # one that is just starting may be deaf
                say_at = now + SAY_AGAIN_S
                self._signal_orphans(passed_on)
                for process in left:
                    _kill(process.pid, passed_on)
            elif now > end:
                for process in left:
                    say(f"process {process.pid} did not end in time and is killed")
                    process.kill()
            _sleep(wake)
        with suppress(OSError):  # what is left of it names no process that lives
            self.files.state.unlink(missing_ok=True)
        say("stopped")

    def _write(self) -> None:
        """Say to the others what runs by which plan, once."""
        if not self.written:
            self.files.write(_about(self.plan, started_at=self.started_at))
            self.written = True


def supervise(home: Path, snapshots: Snapshots) -> int:
    """Run the supervisor of a home by the plan that was written for it; return the exit code."""
    started_at = time.time()
    files = FleetFiles(home)
    try:
        with only_supervisor(files) as alone:
            if alone:
                return _supervise_alone(files, snapshots, started_at)
    except StorageError as error:
        say(str(error))
        return 1
    say("another supervisor runs in this home")
    return 1


def _supervise_alone(files: FleetFiles, snapshots: Snapshots, started_at: float) -> int:
    home = files.home
    plan = files.planned()
    if plan is None:
        say(f"there is no plan in `{files.plan}` that can be read; `servewell up FOLDER` writes it")
        return 1
    orphans = processes_of(home)
    for one in orphans:
        if one.role == "control":
            _kill(one.pid, signal.SIGTERM)
    try:
        refuse_taken_port(files, plan)
        listener = _listen(plan)
    except ServewellError as error:
        say(str(error))
        fault = f"{error.what} {error.why}"
        with suppress(StorageError):  # it stands in the log
            files.write(_about(plan, started_at=started_at, fault=fault))
        return 1
    say(f"serving on {plan.origin} with {plan.workers} workers")
    Supervisor(
        files=files,
        plan=plan,
        snapshots=snapshots,
        listener=listener,
        orphans=tuple(one for one in orphans if one.role == "worker"),
        started_at=started_at,
    ).run()
    return 0


def _about(plan: FleetPlan, *, started_at: float, fault: str = "") -> Written:
    return Written(pid=os.getpid(), started_at=started_at, plan=plan, fault=fault)


def _trouble(step: Callable[[], None]) -> str:
    """Do a step; return what the machine refused, or nothing."""
    try:
        step()
    except (OSError, ServewellError) as error:
        return " ".join(str(error).split())
    return ""


def say(words: str) -> None:
    """Write a line to the supervisor's log, where the disk takes it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError):
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
        f"{child.name} {child.process.pid} ended ({_ending(child.process.returncode)}) after "
        f"{lived:.1f} s; it starts again in {delay:g} s"
    )
    child.at_fault = ended_by_itself(child.process.returncode)
    child.process = None


def _close_pulse(child: Child) -> None:
    if child.pulse is not None:
        os.close(child.pulse)
    child.pulse = child.beaten_at = None


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _sleep(wake: int) -> None:
    select.select([wake], [], [], TICK_S)
    _drain(wake)


def _wake_on_signals(supervisor: Supervisor) -> int:
    """Return a descriptor that becomes readable at each signal that matters."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write)

    def stop(number: int, frame: object) -> None:
        del frame
        supervisor.word = signal.Signals(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # noqa: ARG005 - only to wake up
    return read


def _drain(pipe: int) -> bool:
    """Read what is in a pipe; whether there was anything."""
    try:
        return bool(os.read(pipe, PIPE_BYTES))
    except BlockingIOError:
        return False


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
