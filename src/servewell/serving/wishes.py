"""What the headers of a request ask of its handling: how long it may take, how urgent it is."""

from typing import Final

from servewell.core.catalog.limits import Priority
from servewell.core.reliability.precedence import rank_of
from servewell.serving.protections import WishRefusedError
from servewell.serving.protocols.dialect import Headers

TIMEOUTS: Final = (b"servewell-timeout-ms", b"x-envoy-expected-rq-timeout-ms")
PRIORITY: Final = b"servewell-priority"
DIGITS_MAX: Final = 12
NS_PER_MS: Final = 1_000_000
PRIORITIES: Final = {one.value.encode(): one for one in Priority}


def timeout_ns(headers: Headers, timeout_ms: int) -> int:
    """Return the nanoseconds that a request may take: the least of its wishes and `timeout_ms`.

    Raises: WishRefusedError.
    """
    least = timeout_ms
    for name in TIMEOUTS:
        wish = headers.get(name)
        if wish is not None:
            least = min(least, _milliseconds(name, wish))
    return least * NS_PER_MS


def wished_rank(headers: Headers, most: Priority) -> int:
    """Return the rank, 0 first, of a request whose key may have at most `most`.

    Raises: WishRefusedError.
    """
    wish = headers.get(PRIORITY)
    if wish is None:
        return rank_of(most, most)
    priority = PRIORITIES.get(wish.strip().lower())
    if priority is None:
        raise _refused(PRIORITY, "it is one of high, normal, low")
    return rank_of(most, priority)


def _milliseconds(name: bytes, wish: bytes) -> int:
    text = wish.strip()
    if not text.isdigit() or len(text) > DIGITS_MAX:
        raise _refused(name, "it is a whole number of milliseconds")
    # Zero stands for no timeout with those who send it, not for no time.
    return int(text) or 10**DIGITS_MAX


def _refused(name: bytes, why: str) -> WishRefusedError:
    return WishRefusedError(
        f"The header `{name.decode()}` cannot be read.",
        why=why,
        fix="send it like that, or leave it out",
    )
