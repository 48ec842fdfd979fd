"""What happened in the replayed year: who was asked what, what was decided, and why."""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
from house import House

SETTLE_S: Final = 90.0
OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One answered request."""

    status: int
    deployment: str
    prediction: str  # its id
    probability: float | None  # of being late; None where it was refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was decided, or planted."""

    day: date
    kind: str  # `planted`, `gates`, `rollout` or `retraining`
    good: bool | None  # None where it is neither
    words: str


@dataclass(slots=True)
class Story:
    """The whole year, as it was lived."""

    events: list[Event] = field(default_factory=list)
    _days: list[tuple[float, date]] = field(default_factory=list)
    _rows: list[tuple[date, Asked, int | None]] = field(default_factory=list)
    _told: int = 0  # rows whose labels were given, or had none
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def day(self, day: date) -> None:
        """Begin a day of the year."""
        self._days.append((time.clock_gettime(time.CLOCK_REALTIME), day))

    def asked(self, day: date, asked: Asked, *, late: int | None) -> None:
        """Keep what a caller was answered, and what will turn out."""
        with self._lock:
            self._rows.append((day, asked, late))

    def plant(self, month: int, words: str) -> None:
        """Keep what was done on purpose."""
        day = self._days[-1][1] if self._days else date(2013, month, 1)
        self.events.append(Event(day=day, kind="planted", good=None, words=words))

    def due(self, until: date) -> pd.DataFrame:
        """Return the labels that have become known by now and were not told yet."""
        fresh = [row for row in self._rows[self._told :] if row[0] <= until]
        self._told += len(fresh)
        told = [
            (asked.prediction, late)
            for _, asked, late in fresh
            if late is not None and asked.status == OK
        ]
        return pd.DataFrame(told, columns=["prediction_id", "label"])

    def settle(self, house: House) -> None:
        """Let what is under way end."""
        house.wait(SETTLE_S)

    def requests(self) -> pd.DataFrame:
        """Return the requests: day, deployment, status, probability, late."""
        return pd.DataFrame(
            [
                (day, one.deployment, one.status, one.probability, late)
                for day, one, late in self._rows
            ],
            columns=["day", "deployment", "status", "probability", "late"],
        )

    def read(self, house: House) -> None:
        """Read what was decided, from the reports and the history that Servewell keeps."""
        self.events += [self._gates(one["report"]) for one in house.run("gates", "list")]
        self.events += self._moves(house.run("history", "flight-year", "--limit", "10000"))
        self.events += [self._training(one) for one in house.run("retrain", "history")]
        self.events.sort(key=lambda one: one.day)

    def write(self, path: Path) -> None:
        """Write the year as a list of what happened and why."""
        lines = ["# The year", "", "| day | what | why |", "|---|---|---|"]
        lines += [
            f"| {one.day:%d %B} | {one.kind}{_mark(one)} | {_cell(one.words)} |"
            for one in self.events
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _when(self, at: float) -> date:
        """Return the day of the replayed year in which something happened."""
        place = bisect_right([wall for wall, _ in self._days], at) - 1
        return self._days[max(place, 0)][1]

    def _gates(self, report: dict[str, Any]) -> Event:
        good = report["verdict"] == "pass"
        words = f"{report['version']}: {report['verdict']}, {report['because']}"
        return Event(day=self._when(report["at"]), kind="gates", good=good, words=words)

    def _moves(self, changes: Iterable[dict[str, Any]]) -> list[Event]:
        kinds = {"rollout-started": None, "rollout-moved": None, "rollout-ended": True}
        return [
            Event(
                day=self._when(_seconds(one["at"])),
                kind="rollout",
                good=False if "rolled-back" in one["because"] else kinds[one["kind"]],
                words=one["because"],
            )
            for one in changes
            if one["kind"] in kinds
        ]

    def _training(self, training: dict[str, Any]) -> Event:
        words = f"{training['because']}: {training['outcome']}"
        good = training["state"] == "succeeded"
        return Event(
            day=self._when(_seconds(training["started_at"])),
            kind="retraining",
            good=good,
            words=words,
        )


def _seconds(at: float | str) -> float:
    if isinstance(at, str):
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    return float(at)


def _mark(event: Event) -> str:
    return {True: " +", False: " -", None: ""}[event.good]


def _cell(words: str) -> str:
    return words.replace("|", "/").replace("\n", " ")
