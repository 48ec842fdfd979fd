"""Deadlines, priorities and refusals, where there is more to do than can be done."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter, sleep
from typing import TypeVar

import pytest

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.key import Grant
from servewell.core.catalog.limits import Priority
from serving.crowd import Answer, Crowd
from serving.home import Home
from serving.slow_model import SLOW, slow_model, slow_request

pytestmark = [pytest.mark.enable_socket, pytest.mark.alone]

FOR_EVER = 10**8  # turns: half an hour
SHORT = 300  # turns: some 5 ms, so that it runs in a thread
A_WHILE = 10_000  # turns: some 0.2 s
IN_FLIGHT = "servewell_requests_in_flight"
Result = TypeVar("Result")
Serve = Callable[..., tuple[Home, str]]


@pytest.fixture(scope="module")
def _worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str, Grant]]:
    home = Home(tmp_path_factory.mktemp("home"))
    key, grant = home.key()
    model = home.deployment("blue", slow_model(), signature=SLOW)
    home.publish(model, grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        yield home, key, grant
    home.close()


@pytest.fixture
def serve(socket_enabled: None, _worker: tuple[Home, str, Grant]) -> Serve:
    """Serve the slow model under a policy, with a key of a priority."""
    del socket_enabled
    home, key, grant = _worker

    def under(priority: Priority = Priority.HIGH, **rules: float) -> tuple[Home, str]:
        policy = replace(EndpointPolicy(latency_objective_ms=60_000.0), **rules)
        home.publish(
            *home.snapshot.endpoints[0].deployments,
            policy=policy,
            grants=(replace(grant, priority=priority),),
        )
        home.wait_for_snapshot()
        return home, key

    return under


def together(
    home: Home, key: str, work: Callable[[Crowd], Awaitable[Result]], *, within_s: float = 30
) -> Result:
    """Let a crowd do its work."""

    async def run() -> Result:
        crowd = Crowd(home, key)
        try:
            async with asyncio.timeout(within_s):
                return await work(crowd)
        finally:
            crowd.close()

    return asyncio.run(run())


def counted(home: Home, key: str, name: str) -> float:
    """Return what a metric says, summed over its series."""
    lines = home.send("GET", "/metrics", key=key).body.decode().splitlines()
    found = [line.rpartition(" ") for line in lines]
    return sum(float(value) for series, _, value in found if series.partition("{")[0] == name)


@pytest.mark.parametrize("header", ["servewell_timeout_ms", "x_envoy_expected_rq_timeout_ms"])
def test_a_deadline_ends_the_call_that_misses_it(serve: Serve, header: str) -> None:
    """The caller is told at its deadline, and the model is free again for the next one."""

    async def work(crowd: Crowd) -> tuple[Answer, Answer]:
        late = await crowd.send(slow_request([1.0], FOR_EVER), **{header: "300"})
        return late, await crowd.send(slow_request([1.0], SHORT))

    home, key = serve()
    late, next_one = together(home, key, work)
    assert (late.status, late.body["code"]) == (504, "SW-323")
    assert 0.25 < late.took_s < 3
    assert next_one.status == 200


def test_a_slow_upload_earns_no_more_time(serve: Serve) -> None:
    """A deadline counts from the head: what is over when the body is whole is not begun."""
    home, key = serve()
    body = json.dumps(slow_request([1.0], SHORT)).encode()
    head = (
        f"POST /v2/models/flights/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Servewell-Timeout-Ms: 300\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for pause_s, status in ((0.0, b"200"), (0.5, b"504")):
        with socket.create_connection(("127.0.0.1", home.port), timeout=20) as line:
            line.sendall(head.encode() + body[:-1])
            sleep(pause_s)  # what takes time is the caller
            line.sendall(body[-1:])
            assert line.recv(65_536).split()[1] == status


def test_the_endpoint_has_a_bound_of_its_own(serve: Serve) -> None:
    """A caller that asks for more time than the endpoint allows does not get it."""

    async def work(crowd: Crowd) -> Answer:
        return await crowd.send(slow_request([1.0], FOR_EVER), servewell_timeout_ms="20000")

    home, key = serve(timeout_ms=200)
    late = together(home, key, work)
    assert (late.status, late.body["code"]) == (504, "SW-323")
    assert late.took_s < 5


def test_who_waits_behind_a_long_call_is_told_in_time(serve: Serve) -> None:
    """A request that is late before its turn comes is refused then, and never run."""

    async def work(crowd: Crowd) -> tuple[Answer, Answer]:
        long = asyncio.create_task(
            crowd.send(slow_request([1.0], FOR_EVER), servewell_timeout_ms="1500")
        )
        await asyncio.sleep(0.1)
        late = await crowd.send(slow_request([1.0] * 7, SHORT), servewell_timeout_ms="200")
        return await long, late

    home, key = serve()
    before = counted(home, key, "servewell_rows_total")
    long, late = together(home, key, work)
    assert (long.status, late.status, late.body["code"]) == (504, 504, "SW-323")
    assert late.ended < long.ended
    assert counted(home, key, "servewell_rows_total") == before


@pytest.mark.parametrize("wish", [{"servewell_timeout_ms": "soon"}, {"servewell_priority": "most"}])
def test_a_wish_that_cannot_be_read_is_named(serve: Serve, wish: dict[str, str]) -> None:
    """A header that says nothing is the caller's mistake, and is not guessed at."""

    async def work(crowd: Crowd) -> Answer:
        return await crowd.send(slow_request([1.0], SHORT), **wish)

    home, key = serve()
    refused = together(home, key, work)
    assert (refused.status, refused.body["code"]) == (400, "SW-329")


def test_work_for_nobody_is_ended_or_not_begun(serve: Serve) -> None:
    """Callers that hang up free the model: what runs is ended, what waits is never run."""
    home, key = serve()
    messages, before = Crowd(home, key), counted(home, key, "servewell_rows_total")
    with ExitStack() as open_until_now:
        bodies = slow_request([1.0], FOR_EVER), slow_request([1.0] * 7, SHORT)
        for number, body in enumerate(bodies, 1):
            line = socket.create_connection(("127.0.0.1", home.port), timeout=20)
            open_until_now.enter_context(line).sendall(messages.message(body))
            _wait_until(lambda n=number: counted(home, key, IN_FLIGHT) == n)
    answer = together(home, key, lambda crowd: crowd.send(slow_request([3.0], SHORT)))
    assert answer.output("y") == [6.0]
    assert counted(home, key, "servewell_rows_total") == before + 1
    _wait_until(lambda: [one.status for one in home.records(torn=True)].count(499) == 2)


def _wait_until(true: Callable[[], bool], within_s: float = 20) -> None:
    ends = perf_counter() + within_s
    while not true():
        assert perf_counter() < ends


def test_high_goes_first_and_low_last(serve: Serve) -> None:
    """Behind a call that runs, requests go by priority, whatever order they came in."""

    async def work(crowd: Crowd) -> list[str]:
        first = asyncio.create_task(crowd.send(slow_request([1.0], A_WHILE)))
        await asyncio.sleep(0.1)
        names = ["low", "normal", "high"]
        tasks = []
        for name in names:
            wish = crowd.send(slow_request([1.0], 3_000), servewell_priority=name)
            tasks.append(asyncio.create_task(wish))
            await asyncio.sleep(0.02)
        await first
        ended = [(await task).ended for task in tasks]
        return [name for _, name in sorted(zip(ended, names, strict=True))]

    home, key = serve(batch_rows_max=1)
    assert together(home, key, work) == ["high", "normal", "low"]


def test_a_key_bounds_the_priority_of_its_requests(serve: Serve) -> None:
    """A key for low priority stays low, whatever its requests ask for."""

    async def work(crowd: Crowd) -> list[float]:
        first = asyncio.create_task(crowd.send(slow_request([1.0], A_WHILE)))
        await asyncio.sleep(0.1)
        tasks = []
        for wish in ("low", "high"):
            sent = crowd.send(slow_request([1.0], 3_000), servewell_priority=wish)
            tasks.append(asyncio.create_task(sent))
            await asyncio.sleep(0.02)
        await first
        return [(await task).ended for task in tasks]

    home, key = serve(priority=Priority.LOW, batch_rows_max=1)
    low, high = together(home, key, work)
    assert low < high


def test_what_comes_during_a_call_makes_the_next_batch(serve: Serve) -> None:
    """Callers that wait for a slow call share the next one, and each gets its own."""

    async def work(crowd: Crowd) -> list[Answer]:
        first = asyncio.create_task(crowd.send(slow_request([1.0], A_WHILE)))
        await asyncio.sleep(0.1)
        rest = [crowd.send(slow_request([float(one)], SHORT)) for one in range(20)]
        answers = await asyncio.gather(*rest)
        await first
        return answers

    home, key = serve()
    answers = together(home, key, work)
    assert [one.output("y") for one in answers] == [[2.0 * one] for one in range(20)]
    assert max(one.output("rows")[0] for one in answers) >= 2
    assert len({one.output("rows")[0] for one in answers}) < 20


def test_a_full_queue_refuses_and_says_when_to_come_again(serve: Serve) -> None:
    """More than may wait get 503 at once; who waits as long as it says is answered."""

    async def work(crowd: Crowd) -> tuple[list[Answer], Answer]:
        sent = [crowd.send(slow_request([1.0], A_WHILE)) for _ in range(12)]
        answers = await asyncio.gather(*sent)
        refused = [one for one in answers if one.status == 503]
        later_s = max(int(one.headers["retry-after"]) for one in refused)
        await asyncio.sleep(later_s)
        return answers, await crowd.send(slow_request([1.0], SHORT))

    home, key = serve(queue_requests_max=4, batch_rows_max=1)
    answers, again = together(home, key, work, within_s=60)
    refused = [one for one in answers if one.status == 503]
    assert {one.body["code"] for one in refused} == {"SW-322"}
    assert len(refused) in range(6, 9)
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert max(one.took_s for one in refused) < min(
        one.took_s for one in answers if one.status == 200
    )
    assert again.status == 200
    assert 503 not in {one.status for one in home.records(torn=True)}  # floods are only counted


def test_goodput_holds_at_three_times_the_capacity(serve: Serve) -> None:
    """An open loop at three times what the model can do: about as much is done as at its peak."""
    turns, objective_s = 1_000, 0.25  # a call of so many takes some 17 ms

    async def closed(crowd: Crowd) -> float:
        began = perf_counter()
        for _ in range(6):
            await asyncio.gather(*(crowd.send(slow_request([1.0], turns)) for _ in range(4)))
        return 24 / (perf_counter() - began)

    async def open_loop(crowd: Crowd, rate: float, seconds: float) -> list[Answer]:
        began, tasks = perf_counter(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - perf_counter()))
            tasks.append(asyncio.create_task(crowd.send(slow_request([1.0], turns))))
        return await asyncio.gather(*tasks)

    home, key = serve(latency_objective_ms=1_000 * objective_s)
    before = together(home, key, closed)
    answers = together(home, key, lambda crowd: open_loop(crowd, 3 * before, 3.0), within_s=60)
    capacity = min(before, together(home, key, closed))  # others may use the machine
    good = [one for one in answers if one.status == 200]
    span_s = max(one.ended for one in answers) - min(one.ended - one.took_s for one in answers)
    assert {one.status for one in answers} == {200, 503}
    assert len(good) / span_s > 0.6 * capacity
    steady = sorted(one.took_s for one in good[len(good) // 4 :])
    assert steady[int(0.8 * len(steady))] < 4 * objective_s
