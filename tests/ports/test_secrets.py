"""The contract of `Secrets`."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from servewell.adapters.embedded.secrets import FileSecrets
from servewell.ports.secrets import Secrets
from servewell.ports.storage import StorageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the secrets are kept; it does not exist yet."""
    return tmp_path / "home" / "keys"


@pytest.fixture(params=[pytest.param(FileSecrets, id="embedded")])
def secrets(request: pytest.FixtureRequest, folder: Path) -> Secrets:
    """Each adapter in turn."""
    made: Secrets = request.param(folder)
    return made


def test_a_secret_is_made_once(secrets: Secrets, folder: Path) -> None:
    """The first call makes 32 random bytes; every later one, by whomever, returns them."""
    made = secrets.get("pepper")
    assert len(made) == 32
    assert secrets.get("pepper") == made == FileSecrets(folder).get("pepper")
    assert secrets.get("redaction") != made


def test_finding_makes_nothing(secrets: Secrets, folder: Path) -> None:
    """To look is not to make."""
    assert secrets.find("pepper") is None
    assert not folder.exists()
    made = secrets.get("pepper")
    assert secrets.find("pepper") == made


def test_what_was_put_is_the_secret(secrets: Secrets) -> None:
    """A secret made elsewhere takes the place of what had its name."""
    secrets.get("operator-key")
    secrets.put("operator-key", b"sw_from_elsewhere")
    assert secrets.get("operator-key") == b"sw_from_elsewhere"


def test_only_this_user_can_reach_secrets(secrets: Secrets, folder: Path) -> None:
    """Folder 0700, files 0600, made or put."""
    secrets.get("pepper")
    secrets.put("operator-key", b"key")
    modes = {stat.S_IMODE(place.stat().st_mode) for place in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_that_others_can_reach_is_refused(
    secrets: Secrets, folder: Path, mode: int
) -> None:
    """A secret that may be known is not used, and the message says how to close it."""
    secrets.get("pepper")
    (folder / "pepper").chmod(mode)
    for ask in (secrets.get, secrets.find):
        with pytest.raises(StorageError, match="not safe") as caught:
            ask("pepper")
        assert f"chmod go= {folder / 'pepper'}" in caught.value.fix


def test_a_folder_that_others_can_write_is_refused(secrets: Secrets, folder: Path) -> None:
    """Who can write the folder can exchange the secret."""
    secrets.get("pepper")
    folder.chmod(0o770)
    with pytest.raises(StorageError, match="not safe"):
        secrets.get("pepper")


def test_an_emptied_secret_is_refused(secrets: Secrets, folder: Path) -> None:
    """An empty file is never taken for a secret."""
    secrets.get("pepper")
    (folder / "pepper").write_bytes(b"")
    with pytest.raises(StorageError, match="empty"):
        secrets.get("pepper")


def test_no_text_shows_a_secret(secrets: Secrets, folder: Path) -> None:
    """Neither `repr` nor an error shows what is kept."""
    secret = secrets.get("pepper")
    (folder / "pepper").chmod(0o644)
    with pytest.raises(StorageError) as caught:
        secrets.get("pepper")
    shown = repr(secrets) + str(caught.value)
    assert secret.hex() not in shown
    assert repr(secret) not in shown


def test_a_file_in_the_way_is_a_storage_error(secrets: Secrets, folder: Path) -> None:
    """A home that cannot be used gives the reason and the next step."""
    folder.parent.write_text("a file where the home should be")
    with pytest.raises(StorageError) as caught:
        secrets.get("pepper")
    assert caught.value.why == "a file stands where a folder must be"


GET_AT_ONCE = """
import sys
from pathlib import Path
from servewell.adapters.embedded.secrets import FileSecrets
sys.stdin.read()
print(FileSecrets(Path(sys.argv[1])).get("pepper").hex())
"""


def test_processes_that_ask_at_once_get_the_same(secrets: Secrets, folder: Path) -> None:
    """Whoever is first makes the secret; nobody ever sees another one."""
    command = [sys.executable, "-c", GET_AT_ONCE, str(folder)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    seen = set()
    for process in started:
        with process:
            assert process.stdout is not None
            seen.add(process.stdout.read().strip())
    assert seen == {secrets.get("pepper").hex()}
    assert [place.name for place in folder.iterdir()] == ["pepper"]
