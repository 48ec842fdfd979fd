"""The two halves of the lock say the same: versions in pyproject.toml, hashes beside it."""

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)")


def constraints() -> list[str]:
    """Return the exact versions that `uv sync` is held to."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(project["tool"]["uv"]["constraint-dependencies"])


def locked() -> dict[str, str]:
    """Return each requirement of the lock with its hashes, by its first line."""
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    return {block.partition(" \\\n")[0]: block for block in blocks if PIN.match(block)}


def test_both_halves_hold_the_same_versions() -> None:
    """`just lock` wrote both, and nobody changed one of them since."""
    assert sorted(locked()) == sorted(constraints())


def test_every_version_is_exact_and_has_its_hash() -> None:
    """What is installed is what was locked, wherever it comes from."""
    assert constraints()
    for pin, block in locked().items():
        assert PIN.match(pin), pin
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), pin


def test_every_dependency_is_locked() -> None:
    """Nothing that the project asks for floats."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = chain(
        project["project"]["optional-dependencies"].values(), project["dependency-groups"].values()
    )
    asked = [*project["project"]["dependencies"], *chain.from_iterable(groups)]
    names = {_folded(re.split(r"[\[<>=!~; ]", one)[0]) for one in asked} - {"servewell"}
    assert names <= {_folded(pin.partition("==")[0]) for pin in constraints()}


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
