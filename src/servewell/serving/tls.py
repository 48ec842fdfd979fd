"""TLS as a worker speaks it, from files that may be replaced while it serves."""

import ssl
from pathlib import Path
from typing import Final

from servewell.core.catalog.tls import Clients, TlsFiles
from servewell.core.security.certificate import (
    authority_faults,
    certificate_faults,
    certificates_in,
    ends_at,
    key_faults,
)
from servewell.errors import ServewellError

# Callers that know both get HTTP/1.1, which costs less here; those that want HTTP/2 alone get it.
PROTOCOLS: Final = ["http/1.1", "h2"]
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
OPTIONS: Final = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
CLIENTS: Final = {
    Clients.NONE: ssl.CERT_NONE,
    Clients.OPTIONAL: ssl.CERT_OPTIONAL,
    Clients.REQUIRED: ssl.CERT_REQUIRED,
}

Stamp = tuple[tuple[int, int, int], ...]  # of each file; differs whenever one was replaced


class TlsUnusableError(ServewellError):
    """The files that TLS needs cannot be used together."""

    code = "SW-526"


class Tls:
    """The context of new connections. Those that are open keep what they were opened with."""

    def __init__(self, files: TlsFiles, *, now: float) -> None:
        """Read the files; `now` in seconds since the epoch. Raises: TlsUnusableError."""
        self._files = files
        self._stamp = self._tried = self._look()
        self.fault = ""
        self.context, self.ends_at = _context(files, now)  # in seconds since the epoch

    def refresh(self, now: float) -> bool:
        """Use files that were replaced; whether there is something new to tell.

        They are read once they have stayed the same from one call to the next, as a certificate
        and its key may be replaced one after the other. What is wrong with them stands in `fault`,
        and the old ones are used on.
        """
        before, self._stamp = self._stamp, self._look()
        if self._stamp != before or self._stamp == self._tried:
            return False
        self._tried = self._stamp
        try:
            self.context, self.ends_at = _context(self._files, now)
        except TlsUnusableError as error:
            self.fault = f"{error.what} {error.why}."
        else:
            self.fault = ""
        return True

    def _look(self) -> Stamp:
        files = self._files
        read = (files.certificate, files.key, files.client_ca, files.operator_ca)
        return tuple(_stamp(one) for one in read if one)


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _context(files: TlsFiles, now: float) -> tuple[ssl.SSLContext, float]:
    """Return a context by these files, and when the first of its certificates ends.

    Raises: TlsUnusableError.
    """
    try:
        ends = _refuse_faults(files, now)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(files.certificate, files.key)
        if files.clients is not Clients.NONE:
            made.load_verify_locations(files.client_ca)
            made.load_verify_locations(files.operator_ca or files.client_ca)
    except OSError as error:  # an SSLError too
        reason = getattr(error, "reason", None) or error.strerror or error
        raise _unusable(f"{error.filename or 'OpenSSL'}: {reason}") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_mode = CLIENTS[files.clients]
    made.options |= OPTIONS
    made.set_ciphers(CIPHERS)
    made.set_alpn_protocols(PROTOCOLS)
    return made, ends


def _refuse_faults(files: TlsFiles, now: float) -> float:
    certificate, key = Path(files.certificate).read_bytes(), Path(files.key).read_bytes()
    faults = [*certificate_faults(certificate, now=now), *key_faults(key, certificate)]
    if files.clients is not Clients.NONE:
        faults += authority_faults(Path(files.client_ca).read_bytes(), now=now)
    if faults:
        raise _unusable("; ".join(faults))
    return min(ends_at(one) for one in certificates_in(certificate))


def _unusable(why: str) -> TlsUnusableError:
    return TlsUnusableError(
        "The certificate of this worker cannot be used.",
        why=why,
        fix="put the right files in their place: they are looked at once a second",
    )
