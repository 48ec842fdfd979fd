"""The session in the README, run as it stands there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from journeys.house import free_port, stop_everything

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.enable_socket


def session() -> list[tuple[str, list[str]]]:
    """Return each command of the README's session, and the lines that stand below it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.partition("```console\n")[2].partition("```")[0]
    commands: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def pattern(lines: list[str]) -> str:
    """Return what output must look like, where `…` stands for anything."""
    parts = [r"(?:.*\n)*?" if line == "…" else _line(line) for line in lines]
    return "".join(parts) + r"(?:.*\n)*"


def _line(line: str) -> str:
    return re.escape(line).replace("…", ".*?") + r"\s*\n"


@pytest.mark.timeout(240)
def test_the_session_is_true(tmp_path: Path) -> None:
    """Every command succeeds, and prints what the README says."""
    home = tmp_path / "home"
    port = free_port()
    environment = {**os.environ, "SERVEWELL_HOME": str(home)}
    try:
        for command, expected in session():
            words = shlex.split(command)
            assert words[0] == "servewell"
            if words[1] == "up":
                words += ["--set", f"serving.port={port}"]
            done = subprocess.run(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            printed = done.stdout + "\n"
            assert re.match(pattern(expected), printed), f"{command}\n{printed}"
    finally:
        stop_everything(home)


def test_the_session_ends_with_an_answer_and_a_rollback() -> None:
    """It shows what the first screen promises."""
    verbs = [shlex.split(command)[1] for command, _ in session()]
    assert verbs[-2:] == ["predict", "rollback"]
