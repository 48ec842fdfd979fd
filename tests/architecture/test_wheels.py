"""Nothing is built from source on a user's machine."""

import tomllib
from pathlib import Path

import pytest

LOCK = Path(__file__).parents[2] / "uv.lock"


@pytest.mark.skipif(not LOCK.exists(), reason="`uv sync` writes uv.lock; there is none here")
def test_every_dependency_has_a_wheel() -> None:
    """A package that comes as source alone would need a compiler, and run its set-up."""
    packages = tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]
    without = [one["name"] for one in packages if not one.get("wheels")]
    assert without == ["servewell"]
    assert len(packages) > 50


def test_the_runbooks_come_with_the_package() -> None:
    """An alert names one at night, on a machine without the repository."""
    project = tomllib.loads((LOCK.parent / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"docs/runbooks": "servewell/runbooks"}
    assert (LOCK.parent / "docs" / "runbooks").is_dir()
