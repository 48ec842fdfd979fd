"""What a request asks of its handling: how long it may take, how urgent it is."""

from typing import Final

from servewell.core.catalog.limits import Priority
from servewell.core.reliability.precedence import RANKS, rank_of
from servewell.serving.exchange import Exchange
from servewell.serving.protections import WishRefusedError
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Headers

TIMEOUTS: Final = (b"servewell-timeout-ms", b"x-envoy-expected-rq-timeout-ms")
PRIORITY: Final = b"servewell-priority"
DIGITS_MAX: Final = 12
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000
PRIORITIES: Final = {one.value.encode(): one for one in Priority}


def take_header_wishes(exchange: Exchange, timeout_ms: int) -> None:
    """Note when a request is given up, and its rank: `timeout_ms` is the endpoint's own bound.

    Time counts from the moment at which the head was read: a body that comes slowly earns no more.
    The least of what is asked counts; a priority is never better than that of the key.

    Raises: WishRefusedError.
    """
    headers, grant = exchange.headers, exchange.grant
    for name in TIMEOUTS:
        if name in headers:
            timeout_ms = min(timeout_ms, _milliseconds(headers, name))
    exchange.deadline_ns = exchange.opened_at + timeout_ms * NS_PER_MS
    if grant is not None:
        exchange.rank = RANKS[grant.priority]
        if PRIORITY in headers:
            exchange.rank = rank_of(grant.priority, _priority(headers[PRIORITY]))


def take_body_wishes(exchange: Exchange, decoded: Decoded) -> None:
    """Note what the body asks beyond the headers: it can only lower them."""
    if decoded.timeout_us:
        ends = exchange.opened_at + decoded.timeout_us * NS_PER_US
        exchange.deadline_ns = min(exchange.deadline_ns, ends)
    if decoded.priority is not None:
        exchange.rank = max(exchange.rank, RANKS[decoded.priority])


def _priority(wish: bytes) -> Priority:
    priority = PRIORITIES.get(wish.strip().lower())
    if priority is None:
        raise _refused(PRIORITY, "it is one of high, normal, low")
    return priority


def _milliseconds(headers: Headers, name: bytes) -> int:
    text = headers[name].strip()
    if not text.isdigit() or len(text) > DIGITS_MAX:
        raise _refused(name, "it is a whole number of milliseconds")
    # Zero stands for no bound with those who send it, not for no time.
    return int(text) or 10**DIGITS_MAX


def _refused(name: bytes, why: str) -> WishRefusedError:
    return WishRefusedError(
        f"The header `{name.decode()}` cannot be read.",
        why=why,
        fix="send it like that, or leave it out",
    )
