"""The contract of `Sources`: which code a run is made of."""

import subprocess
from pathlib import Path

import pytest

from servewell.adapters.embedded.sources import FolderSources
from servewell.ports.sources import Sources
from servewell.ports.trainer import TrainingFailedError

PROGRAM = "import os\nimport part\nfrom pack.inner import x\n"


@pytest.fixture
def sources() -> Sources:
    """The adapter of one machine."""
    return FolderSources()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a script, what it imports, and a stranger."""
    files = {
        "step.py": PROGRAM,
        "part.py": "def f():\n    import deep\n",
        "deep.py": "import step\n",
        "pack/__init__.py": "",
        "pack/inner.py": "from . import other\n",
        "pack/other.py": "",
        "stranger.py": "",
        ".hidden/x.py": "",
        "notes.txt": "import stranger",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_script_comes_with_what_it_imports(sources: Sources, folder: Path) -> None:
    """Modules, also through others and within functions, and packages whole; nothing else."""
    found = sources.files(folder, (folder / "step.py",))
    names = {"step.py", "part.py", "deep.py"}
    assert set(found) == names | {"pack/__init__.py", "pack/inner.py", "pack/other.py"}


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\n",
        "from importlib import import_module\n",
        "__import__('stranger')\n",
        "exec('import stranger')\n",
        "import sys\nsys.path.append('x')\n",
        "this is no Python\n",
    ],
)
def test_where_the_text_does_not_tell_all_files_count(
    sources: Sources, folder: Path, text: str
) -> None:
    """A name made at run time may be that of any file; hidden ones are left out."""
    (folder / "part.py").write_text(text, encoding="utf-8")
    found = sources.files(folder, (folder / "step.py",))
    assert "stranger.py" in found
    assert ".hidden/x.py" not in found


def test_a_script_that_is_missing_is_named(sources: Sources, folder: Path) -> None:
    """The error says which."""
    with pytest.raises(TrainingFailedError, match=r"lost\.py"):
        sources.files(folder, (folder / "lost.py",))


def test_changes_are_those_since_the_last_commit(sources: Sources, folder: Path) -> None:
    """As git tells them; none where nothing changed, and none outside a repository."""
    assert sources.changes(folder) == b""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    assert sources.changes(folder) == b""
    (folder / "part.py").write_text("y = 2\n", encoding="utf-8")
    changes = sources.changes(folder).decode()
    assert "+y = 2\n" in changes
    assert "-    import deep\n" in changes
    (folder / "part.py").write_text("x" * (5 << 20), encoding="utf-8")
    assert sources.changes(folder).startswith(b"# Left out: the changes are more than ")
    assert len(sources.changes(folder).splitlines()) == 1


def test_changes_tell_no_secret(sources: Sources, folder: Path) -> None:
    """Files that hold them and values that look like them are left out, and it is said."""
    for name in (".env", "pack/My-Credentials.json", "deploy.PEM", "part.py"):
        (folder / name).write_text("x = 1\n", encoding="utf-8")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    for name in (".env", "pack/My-Credentials.json", "deploy.PEM"):
        (folder / name).write_text("hunter22\n", encoding="utf-8")
    assert b"hunter22" not in sources.changes(folder)
    (folder / "part.py").write_text('y = 2\npassword = "hunter22"\n', encoding="utf-8")
    changes = sources.changes(folder).decode()
    assert "hunter22" not in changes
    assert "+y = 2\n+password = [left out]\n" in changes
    names = ".env, deploy.PEM, pack/My-Credentials.json"
    assert changes.splitlines()[:2] == [
        f"# Left out: files that may hold secrets, among them {names}.",
        "# Left out: values that look like keys or passwords, 1 in all.",
    ]
