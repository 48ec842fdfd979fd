"""Which addresses are sent to: by TLS unless declared, and never to where a cloud answers."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Timer
from typing import Final
from urllib.parse import SplitResult, urlsplit

from servewell.core.catalog.workload_alerts import Receiver
from servewell.ports.sinks import ReceiverAddressError

# Outside the link-local ranges, but answered by a cloud about the machine that asks.
OF_CLOUDS: Final = frozenset({ip_address("168.63.129.16"), ip_address("fd00:ec2::254")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a receiver is waited for."""

    answer_s: float = 10.0  # for a connection, and for each piece of an answer
    whole_s: float = 20.0  # for all of it, however it trickles


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


@contextmanager
def connected(host: str, port: int, patience: Patience) -> Iterator[socket.socket]:
    """Give a connection whose other end may be told something, and that ends in time.

    The address of the connection itself is looked at: a name may lead elsewhere at each asking.

    Raises: OSError, ReceiverAddressError.
    """
    with socket.create_connection((host, port), timeout=patience.answer_s) as found:
        if is_forbidden(_peer(found)):
            raise _unusable(f"`{host}` is an address of this machine's own link, or of its cloud")
        end = Timer(patience.whole_s, _end, (found,))
        end.daemon = True
        end.start()
        try:
            yield found
        finally:
            end.cancel()


def why_broken(error: Exception) -> str:
    """Return why nothing came of a connection, in words."""
    match error:
        case TimeoutError():
            return "it did not answer in time"
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


def _end(connection: socket.socket) -> None:
    with suppress(OSError):  # it ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Whether nothing is sent to an address, whoever named it."""
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
