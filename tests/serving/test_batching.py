"""Requests that come together share a run of the model, and nothing else."""

import asyncio
import http.client
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.tensors import Gatherer, scatter
from serving.conftest import Running
from serving.crowd import Answer, Crowd
from serving.home import POISON, Home, onnx_bytes, request

INFER = "/v2/models/flights/infer"


def pipelined(running: Running, bodies: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Send requests in one piece, so that they come in one turn; return what is answered."""
    encoded = [json.dumps(one).encode() for one in bodies]
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.operator}\r\n"
    stream = b"".join(
        head.encode() + b"Content-Length: %d\r\n\r\n" % len(one) + one for one in encoded
    )
    answers = []
    with socket.create_connection(("127.0.0.1", running.home.port), timeout=20) as line:
        line.sendall(stream)
        for _ in bodies:
            answer = http.client.HTTPResponse(_Kept(line))  # type: ignore[arg-type]
            answer.begin()
            answers.append((answer.status, json.loads(answer.read())))
    return answers


class _Kept:
    """A socket that gives one reader to all answers on it."""

    readers: dict[int, Any] = {}  # noqa: RUF012  (by the number of the line)

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def makefile(self, mode: str) -> "_Reader":
        """Return the reader of the line."""
        return _Reader(self.readers.setdefault(id(self._line), self._line.makefile(mode)))


class _Reader:
    """A reader that outlives the answer that read from it."""

    def __init__(self, reader: Any) -> None:  # noqa: ANN401  (whatever a socket makes)
        self._reader = reader

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the reader has)
        return getattr(self._reader, name)

    def close(self) -> None:
        """Stay open."""


def test_one_poison_row_fails_alone(running: Running) -> None:
    """Of requests that share a batch, only the one whose row the model cannot take gets a 500."""
    bodies = [request(seats=[POISON if place == 3 else place]) for place in range(8)]
    answers = pipelined(running, bodies)
    assert [status for status, _ in answers] == [200] * 3 + [500] + [200] * 4
    assert [body["outputs"][0]["data"] for status, body in answers if status == 200] == [
        [4.0 + place] for place in range(8) if place != 3
    ]
    poisoned = answers[3][1]
    assert poisoned["code"] == "SW-316"
    assert "Traceback" not in poisoned["error"]
    assert str(POISON) not in re.sub("`[0-9a-f]{32}`", "", poisoned["error"])  # its id may hold it


def test_requests_of_one_turn_share_a_run(running: Running) -> None:
    """Requests that come in one piece need fewer runs of the model than there are of them."""

    def batches() -> int:
        text = running.home.send("GET", "/metrics", key=running.operator).body.decode()
        pattern = r'^servewell_batches_total\{endpoint="flights",deployment="blue"\} (\d+)'
        return int(re.findall(pattern, text, re.MULTILINE)[0])

    before = batches()
    answers = pipelined(running, [request(delay=[float(place)]) for place in range(30)])
    assert [body["outputs"][0]["data"] for _, body in answers] == [
        [10.0 + 2 * place] for place in range(30)
    ]
    assert 1 <= batches() - before < 10


def test_requests_with_different_rows_and_outputs_do_not_mix(running: Running) -> None:
    """Each gets its own rows of the outputs that it asked for, in the order of its asking."""
    bodies = []
    for place in range(20):
        rows = place % 4 + 1
        body = request(rows, delay=[float(place)] * rows, carrier=["UA"] * rows)
        bodies.append(body | ({"outputs": [{"name": "echo"}]} if place % 3 == 0 else {}))
    for place, (status, body) in enumerate(pipelined(running, bodies)):
        rows = place % 4 + 1
        outputs = {one["name"]: one["data"] for one in body["outputs"]}
        assert status == 200
        assert outputs["echo"] == ["UA"] * rows
        assert outputs.get("late", [10.0 + 2 * place] * rows) == [10.0 + 2 * place] * rows
        assert len(outputs) == (1 if place % 3 == 0 else 2)


def test_concurrent_callers_get_their_own_answers(running: Running) -> None:
    """Thirty-two connections with different rows: every answer is the right one."""

    def call(number: int) -> bool:
        rows = 300 if number % 16 == 0 else 1 + number % 3
        reply = running.infer(request(rows, delay=[float(number)] * rows))
        return bool(reply.json["outputs"][0]["data"] == [10.0 + 2 * number] * rows)

    with ThreadPoolExecutor(32) as callers:
        assert all(callers.map(call, range(200)))


def test_many_rows_run_aside(running: Running) -> None:
    """A request of thousands of rows is answered whole, and small ones are answered meanwhile."""
    with ThreadPoolExecutor(2) as callers:
        large = callers.submit(running.infer, request(5_000))
        assert running.infer().status == 200
        assert large.result().json["outputs"][0]["data"] == [14.0] * 5_000
        poisoned = running.infer(request(300, seats=[POISON] + [1] * 299))
    assert (poisoned.status, poisoned.json["code"]) == (500, "SW-316")


def test_a_model_with_an_open_dimension_is_served(home: Home) -> None:
    """Requests of different widths come together and are run apart."""
    signature = Signature(
        inputs=(Input(name="x", datatype=Datatype.FP32, row_shape=(-1,)),),
        outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(-1,)),),
    )
    model = onnx_bytes(signature, [helper.make_node("Neg", ["x"], ["y"])], [])
    key, grant = home.key()
    home.publish(home.deployment("blue", model, signature=signature), grants=(grant,))
    with home.process():
        home.wait_for_snapshot()
        for width in (1, 3):
            data = [float(place) for place in range(width)]
            tensor = {"name": "x", "datatype": "FP32", "shape": [1, width], "data": data}
            reply = home.send("POST", INFER, key=key, body={"inputs": [tensor]})
            [output] = reply.json["outputs"]
            assert output["shape"] == [1, width]
            assert output["data"] == [-one for one in data]


@given(
    st.lists(
        st.lists(st.tuples(st.floats(width=32, allow_nan=False), st.text(max_size=3)), min_size=1),
        min_size=1,
        max_size=5,
    )
)
def test_gathering_and_scattering_gives_each_its_own(
    requests: list[list[tuple[float, str]]],
) -> None:
    """Whatever rows come together, each request gets exactly its own back."""
    signature = Signature(
        inputs=(
            Input(name="number", datatype=Datatype.FP32),
            Input(name="text", datatype=Datatype.BYTES),
        ),
        outputs=(),
    )
    decoded = [
        Decoded("", len(rows), [[row[0] for row in rows], [row[1] for row in rows]], ())
        for rows in requests
    ]
    feed = Gatherer(signature).gather(decoded)
    assert feed["number"].shape == (sum(len(rows) for rows in requests), 1)
    parts = scatter([feed["number"], feed["text"]], decoded)
    for rows, [(numbers, shape), (texts, _)] in zip(requests, parts, strict=True):
        assert shape == (len(rows), 1)
        assert list(zip(numbers, texts, strict=True)) == rows


def test_every_caller_gets_its_own_rows_whatever_comes_together(running: Running) -> None:
    """Forty connections, random sizes and wishes, some rows that fail: nobody gets another's."""

    async def call(crowd: Crowd, draw: np.random.Generator, number: int) -> None:
        rows = int(draw.choice((1, 1, 1, 2, 3, 17, 200)))
        delays = [float(number * 256 + place) / 256 for place in range(rows)]
        seats = draw.integers(50, size=rows).tolist()
        poisoned = int(draw.integers(rows)) if draw.random() < 0.1 else None
        if poisoned is not None:
            seats[poisoned] = POISON
        body = request(rows, delay=delays, seats=seats)
        if draw.random() < 0.2:
            body["outputs"] = [{"name": "late"}]
        answer = await crowd.send(body)
        if poisoned is None:
            expected = [2 * one + seat for one, seat in zip(delays, seats, strict=True)]
            assert (answer.status, answer.output("late")) == (200, expected)
        else:
            assert (answer.status, answer.body["code"]) == (500, "SW-316")
            assert rows == 1 or f"row {poisoned}," in answer.body["error"]

    async def everybody() -> None:
        crowd, draw = Crowd(running.home, running.operator), np.random.default_rng(7)
        try:
            for turn in range(10):
                numbers = range(turn * 40, turn * 40 + 40)
                await asyncio.gather(*(call(crowd, draw, number) for number in numbers))
        finally:
            crowd.close()

    asyncio.run(everybody())


def test_a_lone_request_waits_for_nobody(running: Running) -> None:
    """One caller at a time: each request is a call of the model, at once."""

    async def one_by_one() -> list[Answer]:
        crowd = Crowd(running.home, running.operator)
        try:
            return [await crowd.send(request()) for _ in range(200)]
        finally:
            crowd.close()

    before = _batches(running)
    took = sorted(one.took_s for one in asyncio.run(one_by_one()))
    assert _batches(running) - before == 200
    assert took[20] < 0.005  # a timer would add itself to each


def test_one_bad_request_among_many_costs_few_calls(running: Running) -> None:
    """Thirty-two requests in one turn, one of them poison: found by halving."""
    running.infer()  # the model is known to be quick
    before = _batches(running)
    bodies = [request(seats=[POISON if place == 21 else place]) for place in range(32)]
    statuses = [status for status, _ in pipelined(running, bodies)]
    assert statuses == [500 if place == 21 else 200 for place in range(32)]
    assert _batches(running) - before <= 1 + 2 * 5 + 1 + 4  # and what came in another turn


def _batches(running: Running) -> float:
    text = running.home.send("GET", "/metrics", key=running.operator).body.decode()
    lines = [line for line in text.splitlines() if line.startswith("servewell_batches_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
