"""How the home's own certificates are made: a small authority, and the certificate it signs.

The authority may sign for the names of the home alone (name constraints), so that whoever trusts
it trusts it for these, and a thief of its key gains no other. Addresses are not constrained:
BoringSSL, and with it every gRPC client of C++ and Python, refuses an authority where they are.
Source: RFC 5280, section 4.2.1.10.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servewell.core.security.certificate import certificates_in, ends_at, key_block, names_in

CLOCK_SKEW: Final = timedelta(hours=1)  # of a caller whose clock is behind
AUTHORITY_LASTS: Final = timedelta(days=20 * 365)
LASTS: Final = timedelta(days=397)  # the most that browsers take of a server's certificate
RENEWED_BEFORE: Final = LASTS / 3
KEY_USES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def public(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def private(self) -> bytes:
        """The key in PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pair_in(data: bytes) -> Pair | None:
    """Return the first certificate of a file and the key beside it, or None without either."""
    found = certificates_in(data)
    try:
        key = load_pem_private_key(key_block(data), password=None)
    except (ValueError, TypeError):
        return None
    if not found or not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return Pair(certificate=found[0], key=key)


def make_authority(names: Iterable[str], now: float) -> Pair:
    """Return a new authority that may sign for these names, and for those below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"Servewell {identifier.digest.hex()[:16]}")
    permitted = _subtrees(names)
    builder = (
        _unsigned(name, key, now, AUTHORITY_LASTS)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_uses("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(identifier, critical=False)
    )
    return Pair(certificate=builder.sign(key, hashes.SHA256()), key=key)


def make_certificate(names: Iterable[str], authority: Pair, now: float) -> Pair:
    """Return a new certificate of a server of these names."""
    alternatives = x509.SubjectAlternativeName([_general(one) for one in names])
    return _signed("Servewell", authority, now, use=SERVER, names=alternatives)


def make_caller(common: str, authority: Pair, now: float) -> Pair:
    """Return a new certificate of a caller."""
    return _signed(common, authority, now, use=ExtendedKeyUsageOID.CLIENT_AUTH)


def _signed(
    common: str,
    authority: Pair,
    now: float,
    *,
    use: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName | None = None,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    above = authority.certificate
    identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _unsigned(_name(common), key, now, LASTS)
        .issuer_name(above.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_uses("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(own, critical=False)
        .add_extension(signed_by, critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return Pair(certificate=builder.sign(authority.key, hashes.SHA256()), key=key)


def may_sign(authority: x509.Certificate, names: Iterable[str], now: float) -> bool:
    """Whether the authority lasts long enough, and may sign for all these names."""
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = constraints.permitted_subtrees or []
    lasts = now + LASTS.total_seconds() < ends_at(authority)
    return lasts and all(one in permitted for one in _subtrees(names))


def is_good(
    certificate: x509.Certificate, names: Iterable[str], authority: x509.Certificate, now: float
) -> bool:
    """Whether a certificate has just these names, was signed so, and lasts a while."""
    lasts = now + RENEWED_BEFORE.total_seconds() < ends_at(certificate)
    ours = certificate.issuer == authority.subject
    return lasts and ours and set(names_in(certificate)) == set(names)


def _unsigned(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, lasts: timedelta
) -> x509.CertificateBuilder:
    at = datetime.fromtimestamp(now, tz=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCK_SKEW)
        .not_valid_after(at + lasts)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _uses(*allowed: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in allowed for use in KEY_USES})


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _general(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _subtrees(names: Iterable[str]) -> list[x509.GeneralName]:
    return [x509.DNSName(one.removeprefix("*.")) for one in names if _address(one) is None]
