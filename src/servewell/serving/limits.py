"""Holds keys and endpoints to what they may ask for, over all workers of the machine."""

from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Final, NamedTuple

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.key import Grant
from servewell.core.catalog.limits import Limits
from servewell.core.reliability.token_bucket import TokenBucket
from servewell.serving.ledger import Account, Ledger
from servewell.serving.protections import QuotaSpentError, RateLimitedError, RowsAboveLimitError

DAY_S: Final = 86_400
REQUESTS: Final = "requests"
ROWS: Final = "rows"

Pair = tuple[str, str]  # a key and an endpoint


class Moment(NamedTuple):
    """When something is asked for."""

    at: float  # seconds of a clock that never goes back
    time: float  # seconds since the epoch


class Allowance:
    """What one key, or one endpoint, may ask for of one unit: a rate, a day's quota, or both."""

    def __init__(self, account: Account, *, whose: str, unit: str) -> None:
        self._account = account
        self._whose, self._unit = whose, unit
        self._bucket: TokenBucket | None = None
        self._per_day: int | None = None

    def allow(self, rate: float | None, per_day: int | None, at: float) -> None:
        """Hold it to these from now on. What was taken stays taken."""
        self._per_day = per_day
        if rate is None:
            self._bucket = None
        elif self._bucket is None or self._bucket.rate != rate:
            self._bucket = TokenBucket(rate, at)

    def check(self, amount: int, moment: Moment) -> None:
        """Refuse what is more than there is.

        Raises: RateLimitedError, QuotaSpentError, RowsAboveLimitError.
        """
        at, time = moment
        account, bucket, per_day = self._account, self._bucket, self._per_day
        if at >= account.look_at:
            news = account.look(at, int(time // DAY_S))
            if bucket is not None:
                bucket.charge(news)
        if bucket is not None:
            if amount > bucket.capacity:
                raise self._too_many(f"{bucket.rate:g} {self._unit} a second")
            wait_s = bucket.wait_s(amount, at)
            if wait_s > 0:
                raise self._limited(bucket.rate, ceil(wait_s))
        if per_day is not None and account.today(int(time // DAY_S)) + amount > per_day:
            if amount > per_day:
                raise self._too_many(f"{per_day:,} {self._unit} a day")
            raise self._spent(per_day, ceil(DAY_S - time % DAY_S))

    def take(self, amount: int, moment: Moment) -> None:
        """Count what was allowed."""
        if self._bucket is not None:
            self._bucket.charge(amount)
        self._account.add(amount, int(moment.time // DAY_S))

    def _limited(self, rate: float, retry_after_s: int) -> RateLimitedError:
        return RateLimitedError(
            f"{self._whose} has asked for too much at once.",
            why=f"it may ask for {rate:g} {self._unit} a second",
            fix=f"send the request again in {retry_after_s} s, or ask for a higher limit",
            retry_after_s=retry_after_s,
        )

    def _spent(self, per_day: int, retry_after_s: int) -> QuotaSpentError:
        return QuotaSpentError(
            f"{self._whose} has used up what it may ask for today.",
            why=f"it may ask for {per_day:,} {self._unit} on a day of UTC",
            fix=f"send the request again in {retry_after_s} s, when the next day begins, or ask "
            "for a higher quota",
            retry_after_s=retry_after_s,
        )

    def _too_many(self, allowed: str) -> RowsAboveLimitError:
        return RowsAboveLimitError(
            f"The request has more {self._unit} than {self._whose[0].lower()}{self._whose[1:]} "
            "may ever ask for at once.",
            why=f"the limit is {allowed}",
            fix="send them in several smaller requests, or ask for a higher limit",
        )


class Limiter:
    """Holds everybody to the limits of one snapshot; what was taken under the one before counts."""

    def __init__(self, folder: Path, *, worker: int) -> None:
        """Open the ledger in `folder`.

        Raises: OSError.
        """
        self._ledger = Ledger(folder, worker=worker)
        self._allowances: dict[str, Allowance] = {}
        self.active = False  # whether anybody is limited
        self._of_requests: dict[Pair, tuple[Allowance, ...]] = {}  # of those that were asked for
        self._of_rows: dict[Pair, tuple[Allowance, ...]] = {}

    def serve(
        self,
        grants: Iterable[Grant],
        endpoints: Iterable[tuple[str, EndpointPolicy]],
        at: float,
    ) -> None:
        """Hold keys and endpoints to these limits from now on; `at` is in seconds."""
        before, self._allowances = self._allowances, {}
        for grant in grants:
            self._allow(f"key:{grant.id}", "The key", grant.limits, before, at)
        for name, policy in endpoints:
            self._allow(f"endpoint:{name}", "The endpoint", policy.limits, before, at)
        self._of_requests, self._of_rows = {}, {}
        self.active = bool(self._allowances)

    def take_request(self, key: str, endpoint: str, moment: Moment) -> None:
        """Take one request of a key to an endpoint.

        Raises: RateLimitedError, QuotaSpentError.
        """
        held = self._of_requests.get((key, endpoint))
        if held is None:
            held = self._of_requests[key, endpoint] = self._held(key, endpoint, REQUESTS)
        if held:
            _take(held, 1, moment)

    def take_rows(self, key: str, endpoint: str, rows: int, moment: Moment) -> None:
        """Take the rows of such a request.

        Raises: RateLimitedError, QuotaSpentError, RowsAboveLimitError.
        """
        held = self._of_rows.get((key, endpoint))
        if held is None:
            held = self._of_rows[key, endpoint] = self._held(key, endpoint, ROWS)
        if held:
            _take(held, rows, moment)

    def _allow(
        self, name: str, whose: str, limits: Limits, before: dict[str, Allowance], at: float
    ) -> None:
        requests = (limits.requests_per_s, limits.requests_per_day)
        rows = (limits.rows_per_s, limits.rows_per_day)
        for unit, (rate, per_day) in ((REQUESTS, requests), (ROWS, rows)):
            if rate is None and per_day is None:
                continue
            called = f"{name}:{unit}"
            one = before.get(called)
            if one is None:
                account = Account(self._ledger, called)
                account.look(at, 0)  # what is taken from now on counts
                one = Allowance(account, whose=whose, unit=unit)
            one.allow(rate, per_day, at)
            self._allowances[called] = one

    def _held(self, key: str, endpoint: str, unit: str) -> tuple[Allowance, ...]:
        names = (f"key:{key}:{unit}", f"endpoint:{endpoint}:{unit}")
        return tuple(self._allowances[one] for one in names if one in self._allowances)


def _take(allowances: tuple[Allowance, ...], amount: int, moment: Moment) -> None:
    """Take from all, or from none."""
    for one in allowances:
        one.check(amount, moment)
    for one in allowances:
        one.take(amount, moment)
