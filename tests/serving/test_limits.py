"""Rates and quotas hold over all workers of a machine."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.key import Grant, Role
from servewell.core.catalog.limits import Limits
from servewell.serving.limits import DAY_S, Limiter, Moment
from servewell.serving.protections import (
    QuotaSpentError,
    RateLimitedError,
    RowsAboveLimitError,
)
from serving.crowd import Answer, Crowd
from serving.home import Home, flight_model, request

KEY = "keykeykeyke"
NOON = 20_000 * DAY_S + DAY_S / 2


def limiters(
    folder: Path, *indexes: int, key: Limits | None = None, endpoint: Limits | None = None
) -> list[Limiter]:
    """Return the limiters of some workers, which hold one key and one endpoint."""
    grant = Grant(
        id=KEY, digest="", principal="", role=Role.INVOKER, endpoints=("*",), limits=key or Limits()
    )
    policy = EndpointPolicy(limits=endpoint or Limits())
    made = [Limiter(folder, worker=index) for index in indexes]
    for one in made:
        one.serve([grant], [("flights", policy)], 0.0)
    return made


def test_workers_share_a_rate(tmp_path: Path) -> None:
    """What one takes the other pays for: over ten seconds the rate holds for both together."""
    workers = limiters(tmp_path, 0, 1, key=Limits(requests_per_s=100))
    taken = 0
    for millisecond in range(10_000):
        for one in workers:
            try:
                one.take_request(KEY, "flights", Moment(millisecond / 1_000, NOON))
            except RateLimitedError:
                continue
            taken += 1
    assert taken == pytest.approx(100 + 10 * 100, rel=0.02)


def test_a_wait_is_honest(tmp_path: Path) -> None:
    """Who waits as long as was said gets it."""
    [one] = limiters(tmp_path, 0, endpoint=Limits(rows_per_s=10))
    one.take_rows(KEY, "flights", 10, Moment(0.0, NOON))
    with pytest.raises(RateLimitedError) as caught:
        one.take_rows(KEY, "flights", 8, Moment(0.1, NOON))
    assert caught.value.headers == b"retry-after: 1\r\n"
    one.take_rows(KEY, "flights", 8, Moment(1.1, NOON))


def test_what_can_never_be_had_is_not_put_off(tmp_path: Path) -> None:
    """More rows than a limit ever lets through at once are told so, not to come again."""
    [one] = limiters(tmp_path, 0, key=Limits(rows_per_s=10), endpoint=Limits(rows_per_day=100))
    with pytest.raises(RowsAboveLimitError):
        one.take_rows(KEY, "flights", 11, Moment(0.0, NOON))
    with pytest.raises(RowsAboveLimitError):
        one.take_rows("another key", "flights", 101, Moment(0.0, NOON))


def test_a_quota_outlives_workers_and_ends_with_the_day(tmp_path: Path) -> None:
    """Workers that start again go on with the day's count; the next day starts at nothing."""
    quota = Limits(requests_per_day=10)
    for number in range(10):
        [one] = limiters(tmp_path, number % 2, key=quota)
        one.take_request(KEY, "flights", Moment(0.0, NOON))
    [one] = limiters(tmp_path, 2, key=quota)
    with pytest.raises(QuotaSpentError) as caught:
        one.take_request(KEY, "flights", Moment(0.0, NOON))
    assert caught.value.retry_after_s == DAY_S / 2
    one.take_request(KEY, "flights", Moment(1.0, NOON + DAY_S / 2))


def test_new_limits_forget_nothing_that_was_taken(tmp_path: Path) -> None:
    """A snapshot with the same limits changes nothing; nobody is limited without any."""
    [one] = limiters(tmp_path, 0, endpoint=Limits(requests_per_s=1))
    assert one.active
    one.take_request(KEY, "flights", Moment(0.0, NOON))
    policy = EndpointPolicy(limits=Limits(requests_per_s=1))
    one.serve([], [("flights", policy)], 0.0)
    with pytest.raises(RateLimitedError):
        one.take_request(KEY, "flights", Moment(0.0, NOON))
    one.serve([], [("flights", EndpointPolicy())], 0.0)
    assert not one.active


@pytest.mark.enable_socket
def test_two_workers_let_through_what_one_limit_says(home: Home) -> None:
    """Two processes, one key of 200 requests a second, far more asked for: the limit holds."""
    key, grant = home.key(Role.INVOKER)
    limited = replace(grant, limits=Limits(requests_per_s=200, rows_per_s=500))
    home.publish(home.deployment("blue", flight_model(2.0)), grants=(limited,))

    async def ask() -> tuple[list[Answer], float]:
        crowd, answers = Crowd(home, key), list[Answer]()
        began = perf_counter()

        async def caller() -> None:
            while perf_counter() < began + 2:
                answers.append(await crowd.send(request()))

        await asyncio.gather(*(caller() for _ in range(8)))
        lasted = perf_counter() - began
        answers.append(await crowd.send(request(501)))
        crowd.close()
        return answers, lasted

    with home.process(0), home.process(1):
        home.wait_for_snapshot(index=0)
        home.wait_for_snapshot(index=1)
        (*answers, too_many), lasted = asyncio.run(ask())
    good = sum(one.status == 200 for one in answers)
    refused = [one for one in answers if one.status != 200]
    assert {(one.status, one.body["code"]) for one in refused} == {(429, "SW-320")}
    assert {one.headers["retry-after"] for one in refused} == {"1"}
    assert good == pytest.approx(200 + 200 * lasted, rel=0.07)
    assert too_many.status in (413, 429)
    assert {one.status for one in home.records()} <= {200, 413}
