"""`servewell logs`: what the processes and the training runs say."""

import json
import re
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.flows.platform import Platform
from servewell.ports.runs import RunMissingError

LOOK_AGAIN_S: Final = 0.2
KNOWN_BYTES: Final = 256  # by which a log is known again
STAMP: Final = re.compile(r'(?:\{"time": ")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)')
EVENT_HEAD: Final = ("time", "level", "message")  # what a line for people begins with
UNTOLD: Final = ("event", "worker")  # the message and the name of the process say it
COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "red")


class LogFile:
    """One log, read from where the last reading ended.

    A log that has grown large is copied to `.1` and begun anew. That is seen by the bytes before
    the place: they are other ones then.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self.path = path
        self.name = name
        self._at = 0
        self._before = b""  # the bytes that stand before that place

    def last(self, lines: int) -> list[str]:
        """Return the last so many lines, without holding more of the file."""
        try:
            with self.path.open("rb") as file:
                found = deque(file, maxlen=lines)
                self._at = file.tell()
                file.seek(max(0, self._at - KNOWN_BYTES))
                self._before = file.read(KNOWN_BYTES)
        except OSError:
            return []
        return [_text(line) for line in found]

    def more(self) -> list[str]:
        """Return the lines that were finished since the last reading."""
        missed = []
        if not self._goes_on(self.path):
            aside = self.path.with_name(f"{self.path.name}.1")
            missed = self._read(aside) if self._goes_on(aside) else []
            self._at, self._before = 0, b""
        return missed + self._read(self.path)

    def _goes_on(self, path: Path) -> bool:
        """Whether this file is the one that was read, or a copy of it."""
        try:
            with path.open("rb") as file:
                file.seek(self._at - len(self._before))
                return file.read(len(self._before)) == self._before
        except OSError:
            return False

    def _read(self, path: Path) -> list[str]:
        try:
            with path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        self._before = (self._before + whole)[-KNOWN_BYTES:]
        return [_text(line) for line in whole.splitlines()]


@click.command
@click.argument("process", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="The last so many lines of each process.",
)
@click.option("--run", "run_id", help="Show the log of this training or import run instead.")
@command
def logs(
    session: Session, process: str | None, *, follow: bool, lines: int, run_id: str | None
) -> int:
    """Show what the processes wrote: of PROCESS (supervisor, control, worker-0 …), or of all.

    Lines that begin with a time are put in its order. The events of a worker, which are JSON in its
    file, are shown as text; `--json` shows them with all their fields. `servewell models show NAME`
    names the run that a model version came from.

    Example: servewell logs worker-0 --follow
    """
    files = _files(session.platform, process, run_id)
    told = _merged((file.name, file.last(lines)) for file in files)
    _show(session, told, single=len(files) == 1)
    while follow:
        time.sleep(LOOK_AGAIN_S)
        known = {file.path for file in files}
        files += [one for one in _found(session.platform, process, run_id) if one.path not in known]
        _show(session, _merged((file.name, file.more()) for file in files), single=len(files) == 1)
    return 0


def _files(platform: Platform, process: str | None, run_id: str | None) -> list[LogFile]:
    """Return the logs that were asked for; one that was named must exist."""
    files = _found(platform, process, run_id)
    if files:
        return files
    if run_id is not None:
        raise RunMissingError(
            f"There is no log of a run `{run_id}`.",
            why="no run of that id was started in this home",
            fix="`servewell models show NAME` names the run that a version came from",
        )
    names = ", ".join(path.stem for path in platform.fleet.logs())
    if process is not None:
        known = f"there are: {names}" if names else "nothing was started yet"
        raise click.BadParameter(f"`{process}` has no log; {known}", param_hint="PROCESS")
    click.echo("No log yet. `servewell up FOLDER` writes the first.", err=True)
    return []


def _found(platform: Platform, process: str | None, run_id: str | None) -> list[LogFile]:
    if run_id is not None:
        path = platform.trainer.log(run_id)
        return [LogFile(path, name=run_id)] if path.is_file() else []
    paths = platform.fleet.logs()
    return [LogFile(path, name=path.stem) for path in paths if process in (None, path.stem)]


def _merged(files: Iterable[tuple[str, list[str]]]) -> list[tuple[str, str]]:
    """Return the lines with their names, by time; one without a time follows the one above it."""
    stamped: list[tuple[str, str, str]] = []
    for name, lines in files:
        stamp = ""
        for line in lines:
            found = STAMP.match(line)
            stamp = found[1] if found else stamp
            stamped.append((stamp, name, line))
    return [(name, line) for _, name, line in sorted(stamped, key=lambda one: one[0])]


def _show(session: Session, told: list[tuple[str, str]], *, single: bool) -> None:
    for name, line in told:
        event = _event(line)
        if session.as_json:
            click.echo(show.line({"process": name, **(event or {"line": line})}))
        elif single:
            click.echo(_for_people(event) if event else line)
        else:
            colour = COLOURS[sum(name.encode()) % len(COLOURS)]
            words = _for_people(event) if event else line
            click.echo(f"{click.style(f'{name:<10}', fg=colour)}  {words}")


def _event(line: str) -> dict[str, Any] | None:
    """Return the event that a line is, or None where it is anything else."""
    try:
        found = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() >= set(EVENT_HEAD) else None


def _for_people(event: dict[str, Any]) -> str:
    """Return an event in one line: when, how bad, what, and the rest as `key=value`."""
    time_, level, message = (json.dumps(str(event[key]))[1:-1] for key in EVENT_HEAD)
    rest = (key for key in event if key not in (*EVENT_HEAD, *UNTOLD))
    return " ".join([f"{time_} {level:<7} {message}", *(f"{one}={event[one]!r}" for one in rest)])


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")
