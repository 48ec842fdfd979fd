"""The contract of `Certificates`."""

import ssl
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from servewell.adapters.embedded.certificate_making import make_authority, make_certificate
from servewell.adapters.embedded.certificates import FileCertificates
from servewell.adapters.embedded.clock import SystemClock
from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.security.certificate import authority_faults, certificate_faults, key_faults
from servewell.ports.certificates import (
    CertificateFaultsError,
    Certificates,
    HostnameInvalidError,
)
from serving.issued import Issued

DAY_S = 86_400.0


@dataclass(slots=True)
class Ahead:
    """A clock that a test puts forward."""

    by_s: float = 0.0

    def now(self) -> float:
        """Return the time."""
        return SystemClock().now() + self.by_s

    def sleep(self, seconds: float) -> None:
        """Wait for nobody."""
        self.by_s += seconds


@pytest.fixture
def clock() -> Ahead:
    """The clock of the adapter."""
    return Ahead()


@pytest.fixture(params=["embedded"])
def certificates(tmp_path: Path, clock: Ahead) -> Certificates:
    """Each adapter in turn."""
    return FileCertificates(tmp_path / "tls", clock=clock)


def read(path: str) -> bytes:
    """Return the content of a file."""
    return Path(path).read_bytes()


def test_what_was_given_is_examined_and_nothing_made(
    certificates: Certificates, tmp_path: Path
) -> None:
    """A dry run finds all that is wrong: files that are missing, a key of another, the past."""
    authority = Issued.authority()
    past, _ = authority.server("a.example.org", days=-1, begins=-3).write(tmp_path, "past")
    _, other = authority.server("a.example.org").write(tmp_path, "other")
    wanted = replace(certificates.own(()), clients=Clients.REQUIRED, client_ca="missing.pem")
    given = replace(wanted, certificate=past, key=other, authority="")
    with pytest.raises(CertificateFaultsError) as caught:
        certificates.examine(given)
    for told in ("ended", "key", "`missing.pem`: it cannot be read"):
        assert told in caught.value.why
    certificates.examine(replace(wanted, clients=Clients.NONE))
    assert not (tmp_path / "tls").exists()


def test_a_home_makes_its_own(certificates: Certificates) -> None:
    """Good for this machine and the names, believed by OpenSSL at its strictest, kept private."""
    files = certificates.own(("models.example.org", "10.0.0.7", "::", "*.example.net"))
    certificates.ensure(files)
    shown = certificates.shown(files)
    wanted = {"localhost", "127.0.0.1", "::1", "models.example.org", "10.0.0.7", "*.example.net"}
    assert wanted <= set(shown.names)
    assert "::" not in shown.names
    der = x509.load_pem_x509_certificate(read(files.certificate))
    assert shown.not_after == der.not_valid_after_utc.timestamp()
    words = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname"]
    for name in ("localhost", "models.example.org", "a.example.net"):
        line = [*words, name, "-CAfile", files.authority, files.certificate]
        subprocess.run(line, check=True, capture_output=True)
    private = [one for one in Path(files.key).parent.iterdir() if b"PRIVATE" in one.read_bytes()]
    assert Path(files.key) in private
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in private)


def test_what_is_good_is_kept(certificates: Certificates, clock: Ahead) -> None:
    """Neither a second start nor half of its life changes a byte."""
    files = certificates.own(())
    certificates.ensure(files)
    before = read(files.certificate)
    clock.by_s = 200 * DAY_S
    certificates.ensure(files)
    assert not certificates.renew()
    assert read(files.certificate) == before


def test_it_is_renewed_in_time(certificates: Certificates, clock: Ahead) -> None:
    """Before it ends there is another, with the same names, that the same callers believe."""
    files = certificates.own(("a.example",))
    certificates.ensure(files)
    before, trusted = certificates.shown(files), read(files.authority)
    clock.by_s = 300 * DAY_S
    assert certificates.renew()
    after = certificates.shown(files)
    assert after.not_after > before.not_after
    assert set(after.names) == set(before.names)
    assert read(files.authority) == trusted


def test_nothing_is_renewed_that_was_never_made(certificates: Certificates) -> None:
    """A home that serves in plain HTTP, or with a given certificate, gets none."""
    assert not certificates.renew()


def test_another_name_needs_another_authority(certificates: Certificates) -> None:
    """The authority may sign for the names of the home alone; fewer names need no other."""
    wide = certificates.own(("a.example", "b.example"))
    certificates.ensure(wide)
    trusted = read(wide.authority)
    narrow = certificates.own(("a.example",))
    certificates.ensure(narrow)
    assert "b.example" not in certificates.shown(narrow).names
    assert read(narrow.authority) == trusted
    certificates.ensure(certificates.own(("c.example",)))
    assert read(narrow.authority) != trusted


def test_the_authority_signs_for_nobody_else(tmp_path: Path) -> None:
    """A thief of its key could make a certificate of another name, which no caller believes."""
    authority = make_authority(["localhost"], SystemClock().now())
    forged = make_certificate(["bank.example"], authority, SystemClock().now())
    (tmp_path / "ca.pem").write_bytes(authority.public)
    (tmp_path / "forged.pem").write_bytes(forged.public)
    line = ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / "forged.pem"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert "permitted subtree violation" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["server.pem", "authority.pem", "ca.pem"])
def test_what_was_damaged_is_made_again(certificates: Certificates, name: str) -> None:
    """Half a file, as of a full disk, does not keep a home from serving."""
    files = certificates.own(())
    certificates.ensure(files)
    damaged = Path(files.certificate).with_name(name)
    damaged.write_bytes(damaged.read_bytes()[:100])
    certificates.ensure(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    ssl.create_default_context(cafile=files.authority)


def test_the_command_line_has_one_too(certificates: Certificates) -> None:
    """Where callers have to show a certificate, the home makes one for its own command line."""
    files = replace(certificates.own(()), clients=Clients.REQUIRED, client_ca="none")
    with pytest.raises(CertificateFaultsError, match="authority of callers `none`"):
        certificates.ensure(files)
    line = ["openssl", "verify", "-purpose", "sslclient", "-CAfile"]
    line += [files.operator_ca, files.operator]
    subprocess.run(line, check=True, capture_output=True)


@pytest.mark.parametrize("name", ["", "a b", "bücher.example", "http://a", "a..b", "x" * 64])
def test_a_name_has_to_be_one(certificates: Certificates, name: str) -> None:
    """What no certificate can hold is refused in words."""
    with pytest.raises(HostnameInvalidError, match="hostnames"):
        certificates.own((name,))


def test_a_given_one_may_be_good(certificates: Certificates, tmp_path: Path) -> None:
    """A chain in order, its key, an authority of callers: nothing is wrong, nothing is made."""
    root = Issued.authority()
    between = Issued.authority("between", by=root)
    certificate, key = between.server("a.example").write(tmp_path, "server", between)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    files = TlsFiles(certificate=certificate, key=key)
    certificates.ensure(files)
    assert certificates.shown(files).names == ("a.example",)
    assert not (tmp_path / "tls").exists()


AUTHORITY = Issued.authority()
STRANGER = Issued.authority("stranger")
GOOD = AUTHORITY.server("a.example")
PASSWORD = b"secret"
FAULTY: dict[str, tuple[Callable[[], bytes], Callable[[], bytes], str]] = {
    "ended": (lambda: AUTHORITY.server("a", days=-1).pem, GOOD.key_pem, "it ended on"),
    "not-yet": (lambda: AUTHORITY.server("a", begins=2).pem, GOOD.key_pem, "it begins on"),
    "other-key": (lambda: GOOD.pem, STRANGER.key_pem, "that of another certificate"),
    "no-name": (lambda: AUTHORITY.server().pem, GOOD.key_pem, "names no host"),
    "for-callers": (lambda: AUTHORITY.client(dns="a").pem, GOOD.key_pem, "another use"),
    "order": (lambda: GOOD.pem + STRANGER.pem, GOOD.key_pem, "did not sign the one above"),
    "no-certificate": (GOOD.key_pem, GOOD.key_pem, "no certificate in PEM"),
    "no-key": (lambda: GOOD.pem, lambda: GOOD.pem, "no private key in PEM"),
    "password": (lambda: GOOD.pem, lambda: GOOD.key_pem(PASSWORD), "protected by a password"),
    "empty": (bytes, bytes, "no certificate in PEM"),
}


@pytest.mark.parametrize("what", FAULTY)
def test_a_given_one_may_be_bad(certificates: Certificates, tmp_path: Path, what: str) -> None:
    """Each fault is said in words, before anything starts."""
    certificate, key, words = FAULTY[what]
    (tmp_path / "a.pem").write_bytes(certificate())
    (tmp_path / "a.key").write_bytes(key())
    files = TlsFiles(certificate=str(tmp_path / "a.pem"), key=str(tmp_path / "a.key"))
    with pytest.raises(CertificateFaultsError, match=words):
        certificates.ensure(files)


def test_all_that_is_wrong_is_said_at_once(certificates: Certificates, tmp_path: Path) -> None:
    """A certificate that has ended, a missing key, an authority that is none."""
    (tmp_path / "a.pem").write_bytes(AUTHORITY.server("a", days=-1).pem)
    files = TlsFiles(
        certificate=str(tmp_path / "a.pem"),
        key=str(tmp_path / "missing.key"),
        clients=Clients.REQUIRED,
        client_ca=str(tmp_path / "a.pem"),
    )
    with pytest.raises(CertificateFaultsError) as caught:
        certificates.ensure(files)
    for words in ("it ended on", "missing.key`: it cannot be read", "may sign no certificates"):
        assert words in caught.value.why


@given(st.binary(max_size=200), st.binary(max_size=200), st.floats(0, 4e9))
def test_any_bytes_are_judged(certificate: bytes, key: bytes, now: float) -> None:
    """Whatever is in the files, it is a fault in words, never an error of ours."""
    around = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % certificate
    for data in (certificate, around):
        assert certificate_faults(data, now=now)
        assert authority_faults(data, now=now)
        assert key_faults(key, data)
