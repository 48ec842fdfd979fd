"""Certificates for tests, from an authority of their own: good ones, and all kinds of others."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servewell.adapters.embedded.clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate, its key, and how to write both down."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, password: bytes = b"") -> bytes:
        """Return the key, under a password if one is given."""
        closed = BestAvailableEncryption(password) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed)

    def write(self, folder: Path, name: str, *above: "Issued") -> tuple[str, str]:
        """Write certificate, with those above it, and key; return their paths."""
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(b"".join(one.pem for one in (self, *above)))
        paths[1].write_bytes(self.key_pem())
        return str(paths[0]), str(paths[1])

    @classmethod
    def authority(cls, name: str = "authority", *, days: int = 30, by: Self | None = None) -> Self:
        """Return an authority, signed by itself or by another."""
        return cls._make(name, [], days=days, by=by, authority=True)

    def server(self, *names: str, days: float = 30, begins: float = -1) -> "Issued":
        """Return the certificate of a server."""
        return self._make(
            "server", [_general(one) for one in names], days=days, begins=begins, by=self
        )

    def client(
        self, *, common: str = "client", uri: str = "", dns: str = "", seconds: float = 86_400
    ) -> "Issued":
        """Return the certificate of a caller."""
        names: list[x509.GeneralName] = []
        if uri:
            names.append(x509.UniformResourceIdentifier(uri))
        if dns:
            names.append(x509.DNSName(dns))
        return self._make(common, names, days=seconds / 86_400, by=self, client=True)

    @classmethod
    def _make(  # noqa: PLR0913 - what a certificate can say
        cls,
        common: str,
        names: list[x509.GeneralName],
        *,
        days: float,
        by: "Issued | None",
        begins: float = -1,
        authority: bool = False,
        client: bool = False,
    ) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        now = datetime.fromtimestamp(SystemClock().now(), tz=UTC)
        use = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(by.certificate.subject if by else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=min(begins, days - 1)))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if not authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        return cls(certificate=builder.sign(by.key if by else key, hashes.SHA256()), key=key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
