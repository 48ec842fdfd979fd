"""Certificates by which the workers prove whom callers speak to."""

from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.tls import TlsFiles
from servewell.errors import ServewellError


class CertificateFaultsError(ServewellError):
    """A certificate, its key, or the authority of the callers' certificates cannot be used."""

    code = "SW-130"


class HostnameInvalidError(ServewellError):
    """A name that the self-made certificate is to have can be in none."""

    code = "SW-131"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a person is told of a certificate."""

    fingerprint: str  # SHA-256 of the certificate, 64 hex digits
    names: tuple[str, ...]  # DNS names and addresses that it is good for
    not_after: float  # seconds since the epoch, UTC


class Certificates(Protocol):
    """Makes the home's own certificate, and examines those that were given.

    Every implementation passes tests/ports/test_certificates.py, and holds:
    - what is good for its names and lasts is kept as it is;
    - what callers trust stays when the certificate is renewed, and changes only where a name comes
      that it may not sign for;
    - a reader finds a certificate with the key that belongs to it, at any moment;
    - a private key is readable by this user of the machine alone.
    """

    def own(self, names: tuple[str, ...]) -> TlsFiles:
        """Return where the home's own certificate is kept, for these names and this machine's.

        Raises: HostnameInvalidError.
        """
        ...

    def ensure(self, files: TlsFiles) -> None:
        """Make the home's own certificate where it is not there or not good; examine all others.

        Raises: CertificateFaultsError, with all that is wrong; StorageError.
        """
        ...

    def examine(self, files: TlsFiles) -> None:
        """Examine what was given, and make nothing.

        Raises: CertificateFaultsError, with all that is wrong.
        """
        ...

    def renew(self) -> bool:
        """Renew the home's own certificate where it ends soon; whether it was.

        Raises: StorageError.
        """
        ...

    def shown(self, files: TlsFiles) -> Shown:
        """Return what to tell a person of a certificate.

        Raises: CertificateFaultsError.
        """
        ...
