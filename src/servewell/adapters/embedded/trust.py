"""Whom the command line believes to be the workers of its own home, and others elsewhere."""

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.security.certificate import certificates_in
from servewell.ports.certificates import CertificateFaultsError
from servewell.ports.door import CallerCertificate


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


def trust_elsewhere(
    own_authority: Path, *, shown: CallerCertificate | None = None
) -> ssl.SSLContext:
    """Return what believes whom this machine believes, and the workers of this home.

    Raises: CertificateFaultsError, where the certificate that is to be shown cannot be.
    """
    made = ssl.create_default_context()
    if own_authority.is_file():
        made.load_verify_locations(own_authority)
    if shown is not None:
        _show(made, shown)
    return made


def _show(made: ssl.SSLContext, shown: CallerCertificate) -> None:
    try:
        made.load_cert_chain(shown.certificate, shown.key or None, password=_no_password)
    except OSError as error:  # an SSLError too
        named = " and ".join(f"`{one}`" for one in (shown.certificate, shown.key) if one)
        raise CertificateFaultsError(
            "The certificate that says who calls cannot be used.",
            why=f"{named}: {getattr(error, 'reason', None) or error.strerror or error}",
            fix="give a certificate in PEM with `--client-certificate`, and its key, without a "
            "password, in the same file or with `--client-key`",
        ) from error


def _no_password() -> str:
    """Answer OpenSSL, which would ask at the terminal."""
    return ""


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
