"""The contract of `Project`."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from servewell.adapters.embedded.project import FolderProject
from servewell.ports.project import CommandFailedError, Project


@pytest.fixture(params=[pytest.param(FolderProject, id="embedded")])
def project(request: pytest.FixtureRequest) -> Project:
    """Each adapter in turn."""
    made: Project = request.param()
    return made


def test_finds_the_root_of_the_repository(project: Project, tmp_path: Path) -> None:
    """Pipelines are described at the root, wherever below it the workload is."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert project.root(inner).folder == tmp_path
    assert project.root(inner).branch == "main"


def test_a_folder_outside_a_repository_is_its_own_root(project: Project, tmp_path: Path) -> None:
    """Nothing is written above the workload then."""
    assert project.root(tmp_path).folder == tmp_path


def test_reads_what_it_wrote(project: Project, tmp_path: Path) -> None:
    """Folders that lack are made, and a file that is not there is None."""
    path = tmp_path / "new" / "file.yml"
    assert project.read(path) is None
    project.write(path, "on: push\n")
    assert project.read(path) == "on: push\n"


def test_finds_tests_but_not_in_hidden_folders(project: Project, tmp_path: Path) -> None:
    """A virtual environment is full of tests of others."""
    hidden = tmp_path / ".venv"
    hidden.mkdir()
    (hidden / "test_other.py").touch()
    assert not project.has_tests(tmp_path)
    (tmp_path / "test_own.py").touch()
    assert project.has_tests(tmp_path)


def test_gives_each_line_of_a_command(project: Project, tmp_path: Path) -> None:
    """Long work shows its progress, in the folder that it is to run in."""
    lines: list[str] = []
    command = "python -c \"import os; print('one'); print(os.getcwd())\""
    project.run(command, tmp_path, timeout_s=30, progress=lines.append)
    assert lines == ["one", str(tmp_path)]


@pytest.mark.parametrize("command", ["python -c 'exit(3)'", "no-such-command-here", "'", ""])
def test_a_command_that_fails_says_why(project: Project, tmp_path: Path, command: str) -> None:
    """Whether it ends badly or cannot begin."""
    with pytest.raises(CommandFailedError):
        project.run(command, tmp_path, timeout_s=30, progress=[].append)


def test_a_command_that_hangs_is_ended_with_what_it_started(
    project: Project, tmp_path: Path
) -> None:
    """Nothing of it outlives its time."""
    script = tmp_path / "hang.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    pids: list[str] = []
    with pytest.raises(CommandFailedError, match="ended after"):
        project.run(f"{sys.executable} {script}", tmp_path, timeout_s=2, progress=pids.append)
    end = time.monotonic() + 10
    while _runs(pids[0]):
        assert time.monotonic() < end
        time.sleep(0.01)


def _runs(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
