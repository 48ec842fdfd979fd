"""Which addresses are sent to: by TLS unless declared, and never to where a cloud answers."""

import socket
import ssl
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from servewell.core.catalog.workload_alerts import Receiver
from servewell.ports.sinks import ReceiverAddressError

ANSWER_S: Final = 10.0  # for a connection, and for each piece of an answer
# Outside the link-local ranges, but answered by a cloud about the machine that asks.
OF_CLOUDS: Final = frozenset({ip_address("168.63.129.16"), ip_address("fd00:ec2::254")})


def checked_url(url: str, receiver: Receiver) -> SplitResult:
    """Return a URL in its parts.

    Raises: ReceiverAddressError.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _unusable("it is no URL") from None
    if not host or not url.isprintable() or " " in url or parts.username is not None:
        raise _unusable("it is no URL of a host, without a user")
    if parts.scheme != "https" and not (parts.scheme == "http" and receiver.unencrypted):
        raise _unusable("it does not begin with `https://`, and `unencrypted` is not declared")
    return parts


def connected(host: str, port: int) -> socket.socket:
    """Return a connection whose other end may be told something.

    The address of the connection itself is looked at: a name may lead elsewhere at each asking.

    Raises: OSError, ReceiverAddressError.
    """
    found = socket.create_connection((host, port), timeout=ANSWER_S)
    if _is_forbidden(_peer(found)):
        found.close()
        raise _unusable(f"`{host}` is an address of this machine's own link, or of its cloud")
    return found


def why_broken(error: Exception) -> str:
    """Return why nothing came of a connection, in words."""
    match error:
        case TimeoutError():
            return f"it did not answer within {ANSWER_S:.0f} s"
        case ConnectionRefusedError():
            return "nothing listens there"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not believed: {error.verify_message}"
        case OSError(strerror=str(why)):
            return why
        case _:
            return "the connection ended before a whole answer"


def _peer(connection: socket.socket) -> IPv4Address | IPv6Address:
    address = ip_address(str(connection.getpeername()[0]).partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in OF_CLOUDS
    )


def _unusable(why: str) -> ReceiverAddressError:
    return ReceiverAddressError(
        "Nothing is sent to the address of a receiver.",
        why=why,
        fix="correct `url` or `host` of the receiver in servewell.yaml, or what its reference "
        "refers to",
    )
