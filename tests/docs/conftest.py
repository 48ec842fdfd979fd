"""The generator of the reference pages, and the Markdown of the repository."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """`docs/generate.py`, which is a program beside the package, as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tracked(pattern: str) -> list[Path]:
    """Return the files of the repository that match, whether committed yet or not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in names.splitlines() if (path := ROOT / name).exists()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test that asks for a `markdown` each Markdown file in turn."""
    if "markdown" in metafunc.fixturenames:
        pages = tracked("*.md")
        metafunc.parametrize("markdown", pages, ids=[str(one.relative_to(ROOT)) for one in pages])
