"""Refusals that protect the others: limits, deadlines, load."""

from typing import Final

from servewell.serving.refusals import RequestError

NANOSECONDS: Final = 1_000_000_000


class TryLaterError(RequestError):
    """What is refused now and may be taken later."""

    def __init__(self, what: str, *, why: str, fix: str, retry_after_s: int) -> None:
        """`retry_after_s` is in whole seconds, at least one."""
        super().__init__(what, why=why, fix=fix)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> bytes:
        """See `RequestError.headers`."""
        return b"retry-after: %d\r\n" % self.retry_after_s


class RateLimitedError(TryLaterError):
    """More came in a short time than the key, or the endpoint, allows."""

    code = "SW-320"
    recorded = False


class QuotaSpentError(TryLaterError):
    """What the key, or the endpoint, allows in a day is spent."""

    code = "SW-321"
    recorded = False


class OverloadedError(TryLaterError):
    """More waits for the model than can be answered in time."""

    code = "SW-322"
    recorded = False


class DeadlinePassedError(RequestError):
    """The request cannot be, or was not, answered in the time that it has."""

    code = "SW-323"


class CallerGoneError(RequestError):
    """The caller went before the model ran. Nobody sees this; the record keeps it."""

    code = "SW-324"


class RowsAboveLimitError(RequestError):
    """The request has more rows than its limits ever allow at once."""

    code = "SW-328"


class WishRefusedError(RequestError):
    """A header that asks for a timeout or a priority cannot be read."""

    code = "SW-329"


def overloaded(endpoint: str, why: str, *, retry_after_s: int) -> OverloadedError:
    """Return the refusal of a request that would wait too long."""
    return OverloadedError(
        f"The endpoint `{endpoint}` has more to do than it can.",
        why=why,
        fix=f"send it again in {retry_after_s} s, and back off further if it is refused again",
        retry_after_s=retry_after_s,
    )


def deadline_passed(why: str) -> DeadlinePassedError:
    """Return the refusal of a request that is too late."""
    return DeadlinePassedError(
        "The request was given up: it is not answered in the time that it has.",
        why=why,
        fix="give it more time with the header `servewell-timeout-ms`, or send fewer rows; the "
        "endpoint's own bound is `endpoint.timeout_ms`",
    )


def caller_gone() -> CallerGoneError:
    """Return what is recorded of a request whose caller did not wait."""
    return CallerGoneError(
        "The caller has gone.",
        why="the connection was closed before the model ran",
        fix="let the caller wait longer than the endpoint takes",
    )
