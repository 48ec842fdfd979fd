"""The running Servewell, as the replay uses it: by its commands."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

WITHIN_S = 300.0
ENDED = {"promoted", "rolled-back", "cancelled"}


@dataclass(kw_only=True)
class House:
    """One home and one workload."""

    home: Path
    folder: Path
    port: int
    key: str = ""
    url: str = ""
    trust: str = ""
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *words: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Run a command; return what it printed as JSON. Raises: RuntimeError with its words."""
        done = subprocess.run(
            [sys.executable, "-m", "servewell", *words, "--json", "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            env=self.environment,
            check=False,
        )
        if done.returncode:
            message = f"servewell {' '.join(words)}: {done.stdout}{done.stderr}"
            raise RuntimeError(message)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def up(self) -> None:
        """Serve the first version."""
        path = self.folder / "servewell.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("  workers: 2", f"  workers: 2\n  port: {self.port}"), "utf-8")
        told = self.run("up", str(self.folder), "--detach")
        self.key, self.url, self.trust = told["key"], told["url"], told["trust"]

    def down(self) -> None:
        """Stop serving."""
        self.run("down")

    def set_sign(self, sign: int) -> None:
        """Merge a change of a parameter."""
        path = self.folder / "servewell.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"sign: -?1", f"sign: {sign}", text), encoding="utf-8")

    def write_data(self, rows: pd.DataFrame) -> None:
        """Put new data where the workload looks for it: whole, or not at all."""
        draft = self.folder / "flights.parquet.part"
        rows.to_parquet(draft, index=False)
        draft.replace(self.folder / "flights.parquet")

    def add_labels(self, labels: pd.DataFrame) -> None:
        """Tell what became of predictions."""
        if len(labels):
            path = self.folder / "labels.csv"
            labels.to_csv(path, index=False)
            self.run("labels", "add", str(path))

    def newest_refused(self) -> str | None:
        """Return the newest version that the gates do not let through, if it is the newest."""
        reports = self.run("gates", "list")
        newest = reports[-1] if reports else None
        return newest["version"] if newest and not newest["lets_through"] else None

    def trainings(self) -> list[dict[str, Any]]:
        """Return what was asked to be trained, the oldest first."""
        told: list[dict[str, Any]] = self.run("retrain", "history")
        return told

    def rolls_out(self) -> bool:
        """Whether a rollout is under way."""
        rollouts = self.run("rollouts", "list")
        return any(one["stage"] not in ENDED for one in rollouts)

    def busy(self) -> bool:
        """Whether a training or a rollout is under way."""
        return any(one["ended_at"] is None for one in self.trainings()) or self.rolls_out()

    def wait_judged(self, trainings: int) -> None:
        """Wait until more trainings than that were asked for, and all have ended.

        While a rollout is under way no training begins, so then there is nothing to wait for.
        """
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end and not self.rolls_out():
            asked = self.trainings()
            if len(asked) > trainings and all(one["ended_at"] is not None for one in asked):
                return
            time.sleep(1.0)

    def wait(self, seconds: float) -> None:
        """Wait until nothing is under way, or so long."""
        end = time.monotonic() + seconds
        while self.busy() and time.monotonic() < end:
            time.sleep(1.0)
