"""How connections are protected, and who proves to be whom by a certificate."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address


class Clients(StrEnum):
    """Whether callers have to show a certificate."""

    NONE = "none"  # nobody is asked for one
    OPTIONAL = "optional"  # who shows one has to show a good one
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The files by which a worker speaks TLS, as absolute paths. They may be replaced any time."""

    certificate: str  # PEM: the worker's own first, then those that signed it
    key: str  # PEM, without a password
    client_ca: str = ""  # PEM: who signs the certificates of callers; empty where none is asked for
    clients: Clients = Clients.NONE
    authority: str = ""  # PEM: what callers are to trust, where we signed; empty where others did
    names: tuple[str, ...] = ()  # that the certificate is to be good for, where we signed
    operator: str = ""  # PEM, with its key: what the command line of this home shows as a caller
    operator_ca: str = ""  # PEM: who signed that; trusted beside `client_ca`


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach this address or name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
