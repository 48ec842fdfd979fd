"""The contract of `Signer`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.ports.secrets import Secrets
from servewell.ports.signer import Signer
from servewell.ports.storage import StorageError

DATA = b"what is signed"
SHARED = settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    """Return the secrets of a new home."""
    return FileSecrets(tmp_path / "keys")


@pytest.fixture(params=[pytest.param(HomeSigner, id="embedded")])
def signer(request: pytest.FixtureRequest, secrets: Secrets) -> Signer:
    """Each adapter in turn."""
    made: Signer = request.param(secrets)
    return made


@SHARED
@given(data=st.binary(max_size=1_000))
def test_knows_its_own_signature_again(signer: Signer, data: bytes) -> None:
    """What was signed verifies."""
    assert signer.verify(data, signer.sign(data))


def test_knows_it_again_in_another_process(signer: Signer, secrets: Secrets) -> None:
    """The key belongs to the home, not to the process."""
    assert HomeSigner(secrets).verify(DATA, signer.sign(DATA))


@SHARED
@given(data=st.binary(max_size=100).filter(lambda data: data != DATA))
def test_refuses_other_data(signer: Signer, data: bytes) -> None:
    """A signature holds for one content."""
    assert not signer.verify(data, signer.sign(DATA))


@SHARED
@given(where=st.integers(0, 64 * 8 - 1))
def test_refuses_a_signature_with_one_bit_changed(signer: Signer, where: int) -> None:
    """No bit of a signature is without meaning."""
    changed = bytearray(signer.sign(DATA))
    changed[where // 8] ^= 1 << where % 8
    assert not signer.verify(DATA, bytes(changed))


@SHARED
@given(signature=st.binary(max_size=130))
def test_refuses_whatever_is_no_signature(signer: Signer, signature: bytes) -> None:
    """Bytes of any length are refused, never an exception."""
    signer.sign(DATA)
    assert not signer.verify(DATA, signature)


def test_refuses_the_signature_of_another_home(signer: Signer, tmp_path: Path) -> None:
    """Another home's key is not ours."""
    other = HomeSigner(FileSecrets(tmp_path / "other"))
    assert not signer.verify(DATA, other.sign(DATA))


def test_verifying_makes_no_key(signer: Signer, secrets: Secrets) -> None:
    """Before the first signature nothing verifies, and no key appears by asking."""
    assert not signer.verify(DATA, bytes(64))
    assert secrets.find("signing") is None


def test_a_seed_of_the_wrong_size_is_a_storage_error(signer: Signer, secrets: Secrets) -> None:
    """A damaged key says what to do."""
    secrets.put("signing", b"short")
    with pytest.raises(StorageError, match="cannot sign") as caught:
        signer.sign(DATA)
    assert "servewell up" in caught.value.fix
