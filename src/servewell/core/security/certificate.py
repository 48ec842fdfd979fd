"""What is wrong with a certificate, its key, or an authority, judged from their bytes alone."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

PRIVATE_KEY: Final = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----")
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH


def certificates_in(data: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file in their order; none where it holds nothing readable.

    Other things in the file, like a private key, are passed over.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError:
        return ()


def certificate_faults(data: bytes, *, now: float) -> tuple[str, ...]:
    """Return all that keeps a server from using this certificate and those below it.

    Units:  `now` in seconds since the epoch, UTC.
    Raises: nothing. What cannot be read is a fault.
    """
    chain = certificates_in(data)
    if not chain:
        return ("the certificate: no certificate in PEM is in it",)
    return (*_chain_faults(chain, now), *_leaf_faults(chain[0]))


def key_faults(data: bytes, certificate: bytes) -> tuple[str, ...]:
    """Return what keeps a server from using this key with the certificate, where that is one."""
    try:
        key = load_pem_private_key(key_block(data), password=None)
    except TypeError:
        return ("the key: it is protected by a password, and nobody is there to type it",)
    except (ValueError, UnsupportedAlgorithm):
        return ("the key: no private key in PEM is in it",)
    chain = certificates_in(certificate)
    if chain and _public(key.public_key()) != _public(chain[0].public_key()):
        return ("the key: it is that of another certificate",)
    return ()


def authority_faults(data: bytes, *, now: float) -> tuple[str, ...]:
    """Return all that keeps a server from judging callers' certificates by these authorities."""
    found = certificates_in(data)
    if not found:
        return ("the authority of callers: no certificate in PEM is in it",)
    return tuple(fault for one in found for fault in _authority_faults(one, now))


def key_block(data: bytes) -> bytes:
    """Return a PEM file from its private key on; all of it where there is none."""
    found = PRIVATE_KEY.search(data)
    return data[found.start() :] if found else data


def names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and addresses that a certificate is good for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = (str(one) for one in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def ends_at(certificate: x509.Certificate) -> float:
    """Return when a certificate ends, in seconds since the epoch."""
    return certificate.not_valid_after_utc.timestamp()


def _chain_faults(chain: tuple[x509.Certificate, ...], now: float) -> Iterator[str]:
    for place, one in enumerate(chain):
        yield from _time_faults(f"the certificate{_place(place)}", one, now)
    for place, (below, above) in enumerate(pairwise(chain)):
        if not _signed(below, above):
            yield (
                f"the certificate{_place(place + 1)}: it did not sign the one above it; each has "
                "to be followed by the one that signed it"
            )


def _place(place: int) -> str:
    return "" if place == 0 else f" in place {place + 1}"


def _time_faults(what: str, one: x509.Certificate, now: float) -> Iterator[str]:
    if now >= ends_at(one):
        yield f"{what}: it ended on {_day(ends_at(one))}"
    if now < one.not_valid_before_utc.timestamp():
        yield f"{what}: it begins on {_day(one.not_valid_before_utc.timestamp())}"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _signed(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _leaf_faults(leaf: x509.Certificate) -> Iterator[str]:
    if not names_in(leaf):
        yield (
            "the certificate: it names no host in its subject alternative names, so callers "
            "refuse it"
        )
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return
    if SERVER not in uses and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in uses:
        yield "the certificate: it was made for another use than that of a server"


def _public(key: PublicKeyTypes | CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _authority_faults(one: x509.Certificate, now: float) -> Iterator[str]:
    name = one.subject.rfc4514_string() or "without a name"
    yield from _time_faults(f"the authority of callers `{name}`", one, now)
    try:
        signs = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        signs = False
    if not signs:
        yield f"the authority of callers `{name}`: it may sign no certificates"
