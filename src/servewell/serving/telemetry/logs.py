"""The log of a worker: one event a line, on its standard error.

An event has a name, a sentence for people, and fields. Never a value of a request, never a key, so
of an error that nobody foresaw it names the type and the place, not its words.
"""

import json
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

PERIOD_S: Final = 1.0  # between two events of a name that a caller can cause

Field = str | int | float | list[str]


class Log:
    """Writes events. There is one in a process: `log`."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.begin(now, as_json=True)

    def begin(self, now: Callable[[], float], *, as_json: bool, worker: int | None = None) -> None:
        """Say how it is written from now on; `now` tells seconds since the epoch."""
        self._now = now
        self._write = _json_line if as_json else _text_line
        self._ids: dict[str, Field] = {} if worker is None else {"worker": worker}
        self._told: dict[str, tuple[float, int]] = {}  # event -> when, and left out since

    def info(self, event: str, message: str, **fields: Field) -> None:
        """Write what is as it should be."""
        self._say("info", event, message, fields)

    def warning(self, event: str, message: str, **fields: Field) -> None:
        """Write what somebody may want to look at."""
        self._say("warning", event, message, fields)

    def error(self, event: str, message: str, **fields: Field) -> None:
        """Write what went wrong."""
        self._say("error", event, message, fields)

    def fault(self, event: str, message: str, error: BaseException) -> None:
        """Write where an error came from that is a fault of ours."""
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"{one.filename}:{one.lineno} in {one.name}" for one in frames]
        self._say("error", event, message, {"error": type(error).__name__, "places": places})

    def seldom(self, event: str, message: str, **fields: Field) -> None:
        """Write what a caller can cause, of each event one a second."""
        left_out = self.due(event)
        if left_out is not None:
            self._say("warning", event, message, {**fields, **left_out})

    def due(self, event: str) -> dict[str, Field] | None:
        """Return whether an event that a caller can cause may be written now, else None.

        Of each event one a second is, so that no caller fills the disk. What is returned are the
        fields that say how many were left out since the one before.
        """
        now = self._now()
        told_at, left_out = self._told.get(event, (float("-inf"), 0))
        if told_at <= now < told_at + PERIOD_S:
            self._told[event] = told_at, left_out + 1
            return None
        self._told[event] = now, 0
        return {"left_out": left_out} if left_out else {}

    def _say(self, level: str, event: str, message: str, fields: dict[str, Field]) -> None:
        time = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        head = {"time": time.replace("+00:00", "Z"), "level": level, "event": event}
        line = self._write({**head, "message": message, **self._ids, **fields})
        with suppress(OSError):  # a full disk
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _json_line(event: dict[str, Field]) -> str:
    return json.dumps(event)


def _text_line(event: dict[str, Field]) -> str:
    """Return `time level event: message key=value`; values are escaped as in JSON."""
    time, level, name, message, *_ = event.values()
    rest = [f"{key}={json.dumps(value)}" for key, value in list(event.items())[4:]]
    words = json.dumps(message, ensure_ascii=False)[1:-1].replace('\\"', '"')
    return " ".join([f"{time} {level:<7} {name}: {words}", *rest])


log: Final = Log()


def bare_name(error: Exception) -> str:
    """Return the name that an error gives, or its type: its words may hold values of a request."""
    words = str(error)
    return words if words.isidentifier() else type(error).__name__
