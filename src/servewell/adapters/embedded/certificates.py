"""Certificates in files: the home's own in `HOME/tls`, all others where they were given."""

import fcntl
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes

from servewell.adapters.embedded.atomic_file import (
    ensure_folder,
    storage_faults,
    write_atomically,
)
from servewell.adapters.embedded.certificate_making import (
    Pair,
    is_good,
    make_authority,
    make_caller,
    make_certificate,
    may_sign,
    pair_in,
)
from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.security.certificate import (
    authority_faults,
    certificate_faults,
    certificates_in,
    ends_at,
    key_faults,
    names_in,
)
from servewell.ports.certificates import CertificateFaultsError, HostnameInvalidError, Shown
from servewell.ports.clock import Clock

ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - left out, as it is nobody's name
OPERATOR: Final = "servewell-operator"
HOST: Final = re.compile(r"(?=.{1,253}$)(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


class FileCertificates:
    """`Certificates` in a folder of this machine.

    The certificate and its key are in one file, so that they are replaced together.
    """

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._server = folder / "server.pem"  # certificate, authority, key
        self._authority = folder / "authority.pem"  # certificate and key
        self._public = folder / "ca.pem"  # what callers trust
        self._operator = folder / "operator.pem"  # certificate and key of the command line

    def own(self, names: tuple[str, ...]) -> TlsFiles:
        """See `Certificates.own`."""
        wanted = dict.fromkeys((*ALWAYS, *_names_of_machine(), *(_checked(one) for one in names)))
        return TlsFiles(
            certificate=str(self._server),
            key=str(self._server),
            authority=str(self._public),
            names=tuple(one for one in wanted if one not in EVERY_ADDRESS),
            operator=str(self._operator),
            operator_ca=str(self._public),
        )

    def ensure(self, files: TlsFiles) -> None:
        """See `Certificates.ensure`."""
        if files.authority:
            self._keep(self._server, files.names)
        if files.clients is not Clients.NONE:
            self._keep(self._operator, ())
        self.examine(files)

    def examine(self, files: TlsFiles) -> None:
        """See `Certificates.examine`."""
        faults = (*self._own_faults(files), *self._client_faults(files))
        if faults:
            raise _unusable(faults)

    def renew(self) -> bool:
        """See `Certificates.renew`."""
        made = [
            self._keep(place, names_in(pair.certificate))
            for place in (self._server, self._operator)
            if (pair := _pair(place)) is not None
        ]
        return any(made)

    def shown(self, files: TlsFiles) -> Shown:
        """See `Certificates.shown`."""
        data, fault = _read(files.certificate, "the certificate")
        found = certificates_in(data)
        if not found:
            raise _unusable((fault or f"the certificate `{files.certificate}`: there is none",))
        return Shown(
            fingerprint=found[0].fingerprint(hashes.SHA256()).hex(),
            names=names_in(found[0]),
            not_after=ends_at(found[0]),
        )

    def _keep(self, place: Path, names: tuple[str, ...]) -> bool:
        """Make a server's certificate, or one of a caller without names, where it is not good.

        Return whether it was made.
        """
        now = self._clock.now()
        with storage_faults(self._folder), self._locked():
            authority = self._kept_authority(names, now)
            pair = _pair(place)
            if pair and is_good(pair.certificate, names, authority.certificate, now):
                return False
            make = partial(make_certificate, names) if names else partial(make_caller, OPERATOR)
            made = make(authority, now)
            write_atomically(place, made.public + authority.public + made.private)
            return True

    def _kept_authority(self, names: tuple[str, ...], now: float) -> Pair:
        authority = _pair(self._authority)
        if authority is None or not may_sign(authority.certificate, names, now):
            authority = make_authority(dict.fromkeys((*ALWAYS, *names)), now)
            write_atomically(self._authority, authority.public + authority.private)
        if not self._public.exists() or self._public.read_bytes() != authority.public:
            write_atomically(self._public, authority.public, mode=0o644)
        return authority

    def _own_faults(self, files: TlsFiles) -> Iterator[str]:
        if files.authority:
            return
        certificate, amiss = _read(files.certificate, "the certificate")
        key, fault = _read(files.key, "the key")
        now = self._clock.now()
        found = (
            *([amiss] if amiss else certificate_faults(certificate, now=now)),
            *([fault] if fault else key_faults(key, certificate)),
        )
        yield from found or _refused_by_openssl(files)

    def _client_faults(self, files: TlsFiles) -> Iterator[str]:
        if files.clients is Clients.NONE:
            return
        data, fault = _read(files.client_ca, "the authority of callers")
        yield from (fault,) if fault else authority_faults(data, now=self._clock.now())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        ensure_folder(self._folder)
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _names_of_machine() -> tuple[str, ...]:
    name = socket.gethostname()
    return (name,) if HOST.fullmatch(name) else ()


def _checked(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        if HOST.fullmatch(name):
            return name
    raise HostnameInvalidError(
        f"`{name}` is no name that a certificate can have.",
        why="a name has letters, digits, hyphens and dots, and `*.` at most before it; other "
        "scripts are written in their ASCII form, like `xn--bcher-kva.example`",
        fix="mend `serving.tls.hostnames` or `serving.host` in the workload",
    )


def _pair(path: Path) -> Pair | None:
    try:
        return pair_in(path.read_bytes())
    except FileNotFoundError:
        return None


def _read(path: str, what: str) -> tuple[bytes, str]:
    """Return the content of a file, or nothing and why."""
    try:
        return Path(path).read_bytes(), ""
    except OSError as error:
        return b"", f"{what} `{path}`: it cannot be read ({error.strerror or error})"


def _refused_by_openssl(files: TlsFiles) -> Iterator[str]:
    """What no rule of ours knows, like a key that is too small."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    except ssl.SSLError as error:
        yield f"the certificate: OpenSSL refuses it ({error.reason or error})"


def _unusable(faults: tuple[str, ...]) -> CertificateFaultsError:
    return CertificateFaultsError(
        "TLS cannot be spoken with these files.",
        why="; ".join(faults),
        fix="put the right files in their place, or name them under `serving.tls` in the workload",
    )
