"""One POST of JSON: no redirect is followed, and nothing waits longer than it must."""

import http.client
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from socket import socket
from typing import Final
from urllib.parse import SplitResult

from servewell import __version__
from servewell.adapters.embedded.alerting.addresses import Patience, connected, why_broken
from servewell.ports.sinks import DeliveryFailedError

HTTPS_PORT: Final = 443
ANSWER_BYTES_MAX: Final = 2_000
SHOWN: Final = 200  # characters of an answer


def post(
    url: SplitResult,
    body: bytes,
    *,
    headers: Mapping[str, str],
    said: Callable[[str], str],
    patience: Patience,
) -> str:
    """Send a body; return what was answered. `said` takes secrets out of it.

    Raises: DeliveryFailedError, ReceiverAddressError.
    """
    host = url.hostname or ""
    try:
        status, told, retry_after = _exchange(url, body, headers, patience)
    except (OSError, http.client.HTTPException) as error:
        raise _failed(host, why_broken(error)) from error
    except ValueError:  # it may repeat what it refuses: a secret
        raise _failed(host, "its address or its secret cannot be sent as it is") from None
    answer = _shown(said(told.decode(errors="replace")))
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return f"{status} {answer}".strip()
    if status < HTTPStatus.BAD_REQUEST:
        raise _failed(host, f"it answered {status}, and a redirect is not followed")
    raise _failed(host, f"it answered {status} {answer}".strip(), retry_after)


def _exchange(
    url: SplitResult, body: bytes, headers: Mapping[str, str], patience: Patience
) -> tuple[int, bytes, str]:
    host = url.hostname or ""
    port = url.port or (HTTPS_PORT if url.scheme == "https" else http.client.HTTP_PORT)
    with connected(host, port, patience) as plain:
        connection = _over(plain, url, host, port)
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        agent = {"User-Agent": f"servewell/{__version__}", "Content-Type": "application/json"}
        connection.request("POST", target, body, {**agent, **headers})
        answer = connection.getresponse()
        told = answer.read(ANSWER_BYTES_MAX)
        connection.close()
        return answer.status, told, answer.headers.get("Retry-After", "")


def _over(plain: socket, url: SplitResult, host: str, port: int) -> http.client.HTTPConnection:
    if url.scheme != "https":
        connection = http.client.HTTPConnection(host, port)
        connection.sock = plain
        return connection
    connection = http.client.HTTPSConnection(host, port)
    connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    return connection


def _shown(text: str) -> str:
    words = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(words.split())[:SHOWN]


def _failed(host: str, why: str, retry_after: str = "") -> DeliveryFailedError:
    return DeliveryFailedError(
        f"`{host}` did not take an alert.",
        why=why,
        fix="see to the receiver; it is tried again, and `servewell alerts dead-letters` shows "
        "what was given up",
        retry_after_s=_seconds(retry_after),
    )


def _seconds(retry_after: str) -> float:
    """Return what `Retry-After` asks for: seconds, or a date. Source: RFC 9110, 10.2.3."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):  # a date that no calendar has
        return 0.0
