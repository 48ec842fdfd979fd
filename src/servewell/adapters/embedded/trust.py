"""Whom the command line believes to be the workers of its own home, and others elsewhere."""

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.security.certificate import certificates_in
from servewell.ports.certificates import CertificateFaultsError


def trust_in_home(files: TlsFiles) -> ssl.SSLContext:
    """Return what believes the workers of a home, and nobody else.

    Where we signed, the name is checked by our own authority. A certificate that was given may be
    for a name by which nobody reaches this machine from itself, so just this one is believed.

    Raises: CertificateFaultsError.
    """
    believed = files.authority or files.certificate
    try:
        made = _signed_by(believed) if files.authority else _pinned(believed)
        if files.clients is not Clients.NONE:
            made.load_cert_chain(files.operator)
    except OSError as error:  # an SSLError too
        raise CertificateFaultsError(
            "The workers of this home cannot be told from others.",
            why=f"`{error.filename or believed}`: {error.strerror or error}",
            fix="put the certificate that they use back in its place; `servewell down` and "
            "`servewell up FOLDER` make a home's own one anew",
        ) from error
    return made


def trust_elsewhere(own_authority: Path) -> ssl.SSLContext:
    """Return what believes whom this machine believes, and the workers of this home."""
    made = ssl.create_default_context()
    if own_authority.is_file():
        made.load_verify_locations(own_authority)
    return made


def _signed_by(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)


def _pinned(certificate: str) -> ssl.SSLContext:
    found = certificates_in(Path(certificate).read_bytes())
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False  # not the name is believed, but this certificate alone
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in found[:1])
    made.load_verify_locations(cadata=pem.decode())
    return made
