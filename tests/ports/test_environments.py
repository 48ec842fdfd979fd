"""The contract of locked environments."""

import subprocess
from pathlib import Path

import pytest

from ports.tiny_package import NAME, VERSION, lock_of, wheel
from servewell.adapters.embedded.predictor.environments import FolderEnvironments
from servewell.ports.environments import EnvironmentFailedError, LockInvalidError


@pytest.fixture
def environments(tmp_path: Path) -> FolderEnvironments:
    """Environments below a folder, and a package to be had."""
    wheel(tmp_path / "wheels")
    return FolderEnvironments(tmp_path / "environments")


def test_an_environment_is_made_once(environments: FolderEnvironments, tmp_path: Path) -> None:
    """Its Python imports what the lock names; the second time nothing is made."""
    said: list[str] = []
    lock = lock_of(tmp_path / "wheels")
    digest = environments.ensure(lock, said.append)
    python = environments.python(digest)
    assert digest == environments.digest(lock)
    assert python is not None
    command = [python, "-c", f"import {NAME}; print({NAME}.WORD)"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"hello\n"
    assert environments.ensure(lock, said.append) == digest
    assert len(said) == 1


def test_one_that_is_half_made_is_made_again(
    environments: FolderEnvironments, tmp_path: Path
) -> None:
    """What a kill left is not found."""
    lock = lock_of(tmp_path / "wheels")
    digest = environments.digest(lock)
    (tmp_path / "environments" / digest / "bin").mkdir(parents=True)
    (tmp_path / "environments" / digest / "bin" / "python").touch()
    assert environments.python(digest) is None
    environments.ensure(lock, lambda _: None)
    assert environments.python(digest) is not None


def test_what_cannot_be_had_is_told(environments: FolderEnvironments, tmp_path: Path) -> None:
    """The words of the installer are repeated, and nothing half made is found."""
    lock = lock_of(tmp_path / "wheels", "9.9.9")
    with pytest.raises(EnvironmentFailedError) as caught:
        environments.ensure(lock, lambda _: None)
    assert NAME in caught.value.why
    assert environments.python(environments.digest(lock)) is None


def test_wanted_packages_are_resolved_to_a_lock(
    environments: FolderEnvironments, tmp_path: Path
) -> None:
    """A range becomes an exact version."""
    wanted = f"--no-index\n--find-links {tmp_path / 'wheels'}\n{NAME}>=1\n".encode()
    assert f"{NAME}=={VERSION}" in environments.resolve(wanted, lambda _: None).decode()


@pytest.mark.parametrize(
    "text",
    [
        "numpy", "numpy>=2", "numpy==2.*", "numpy~=2.0", "git+https://example.org/x.git",
        "-e .", "-r others.txt", "./wheel.whl", "numpy @ file:///x.whl",
    ],
)  # fmt: skip
def test_only_exact_versions_are_a_lock(environments: FolderEnvironments, text: str) -> None:
    """What could be another package tomorrow is refused."""
    with pytest.raises(LockInvalidError) as caught:
        environments.digest(f"# a comment\n{text}\n".encode())
    assert text in caught.value.why


def test_a_lock_of_uv_or_pip_is_one(environments: FolderEnvironments) -> None:
    """Hashes, comments, extras, markers and continued lines belong to a lock."""
    text = (
        "numpy==2.1.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n    # via me\n"
        "uvicorn[standard]==0.30.0 ; python_version >= '3.11'\nPyYAML == 6.0\n\n"
    )
    assert len(environments.digest(text.encode())) == 64
