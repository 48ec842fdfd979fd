"""Who stands at the other end of a TLS connection, by the certificate that was shown there."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SPIFFE: Final = "spiffe://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A caller whose certificate was signed by one that this worker trusts."""

    identity: str
    not_after: float  # seconds since the epoch, UTC; the certificate is good until then


def peer_of(transport: asyncio.BaseTransport) -> Peer | None:
    """Return who called; None without TLS, without a certificate, or without a name in it."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    found = tls.getpeercert() if tls is not None else None
    return _named(found) if found else None


def _named(certificate: Mapping[str, Any]) -> Peer | None:
    identity = identity_in(certificate)
    if not identity:
        return None
    return Peer(identity=identity, not_after=ssl.cert_time_to_seconds(certificate["notAfter"]))


def identity_in(certificate: Mapping[str, Any]) -> str:
    """Return the one name that stands for the holder of a verified certificate, or nothing.

    A URI of the subject alternative names goes first, a SPIFFE id before others; then a DNS name;
    then, where there are neither, the common name. A common name that looks like a URI is none: an
    authority that checks URIs may not check that.

    `certificate` is what `ssl.SSLSocket.getpeercert` returns. Source: SPIFFE, X.509-SVID,
    section 2; RFC 6125, section 6.4.4, for the common name as the last resort.
    """
    names: list[tuple[str, str]] = list(certificate.get("subjectAltName", ()))
    uris = [name for kind, name in names if kind == "URI"]
    for candidates in (
        [one for one in uris if one.startswith(SPIFFE)],
        uris,
        [name for kind, name in names if kind == "DNS"],
        [one for one in _common_names(certificate) if "://" not in one],
    ):
        if candidates:
            return candidates[0]
    return ""


def _common_names(certificate: Mapping[str, Any]) -> list[str]:
    return [
        value
        for part in certificate.get("subject", ())
        for kind, value in part
        if kind == "commonName"
    ]
