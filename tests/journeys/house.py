"""A small workload in a home of its own, and what a person or a caller does with it."""

import http.client
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from servewell.cli.app import run
from servewell.core.catalog.gate import GateOverride, GateReport, GateVerdict
from servewell.wiring import open_platform

TRAIN = '''
"""Learn whether x + y is large."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder


def train(data, *, strength=1.0):
    rows = pd.read_parquet(data)
    texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = ColumnTransformer([("texts", texts, ["colour"])], remainder="passthrough")
    inputs = rows[["x", "y", "colour"]].astype({"x": "float32", "y": "float32"})
    model = make_pipeline(prepare, LogisticRegression(C=strength)).fit(inputs, rows["large"])
    return model, {"accuracy": float(model.score(inputs, rows["large"]))}
'''

WORKLOAD = """
workload: small
data:
  path: rows.parquet
  label: large
train:
  script: train.py
  parameters:
    strength: 1.0
inputs:
  x:
    minimum: -100
    maximum: 100
gates:
  rows_min: 20
rollout:
  watch_s: 0
serving:
  port: {port}
  workers: 2
  drain_s: 5
"""


READY_MADE = """
workload: small
artifact:
  path: first.onnx
inputs:
  x:
    minimum: -100
    maximum: 100
rollout:
  watch_s: 0
serving:
  port: {port}
  workers: 2
  drain_s: 5
"""


@dataclass(kw_only=True)
class House:
    """One home, one workload, one port."""

    home: Path
    folder: Path
    port: int
    second: str = "train.parameters.strength=0.5"  # what makes another version of the model
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `servewell` to its end."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **self.environment},
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def json(self, *words: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Run `servewell … --json`; return what it printed."""
        return json.loads(self.run(*words, "--json").stdout)

    def look(self, *words: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Return what a command prints that only looks.

        It runs in this process: to start one and to load its libraries takes twenty times as long.
        """
        if self.environment:
            return self.json(*words)
        told = io.StringIO()
        with redirect_stdout(told):
            code = run(open_platform, [*words, "--json", "--home", str(self.home)])
        assert code == 0, told.getvalue()
        return json.loads(told.getvalue())

    def command(self, *words: str) -> list[str]:
        """Return the words of a command in this home."""
        return [sys.executable, "-m", "servewell", *words, "--home", str(self.home)]

    def up(self, *words: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Bring the workload up and leave it serving."""
        return self.json("up", str(self.folder), "--detach", *words)

    def up_second(self) -> Any:  # noqa: ANN401 - JSON is anything
        """Bring up another version of the model, and give it all requests at once."""
        told = self.up("--set", self.second)
        if told["rollout"] is not None:
            self.promote("small")
        return told

    def promote(self, endpoint: str) -> None:
        """Give the candidate of a rollout all requests, as soon as every worker has it."""
        words = ("rollouts", "promote", endpoint, "--because", "a test")
        eventually(lambda: self.run(*words, check=False).returncode == 0, within_s=60)
        eventually(lambda: self.look("rollouts", "list")[-1]["ended_at"], within_s=30)

    def let_through(self, version: str) -> None:
        """Let a version that nothing measured through, by a report that a person overruled."""
        platform = open_platform(self.home)
        model, _, number = version.partition(":")
        package = platform.registry.get(model, int(number)).package
        override = GateOverride(principal="ada", because="a test", at=0.0)
        platform.gates.keep(
            GateReport(
                id=platform.ids.new(),
                version=version,
                package=package,
                champion=None,
                verdict=GateVerdict.CANNOT_TELL,
                because="nothing was measured",
                rows=(),
                at=platform.clock.now(),
                override=override,
            )
        )

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `servewell` and do not wait for it."""
        return subprocess.Popen(
            self.command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def pids(self) -> dict[str, int]:
        """Return the processes that live: supervisor, control, worker-0 and so on."""
        status = self.json("status")
        named = {"supervisor": status["supervisor"], "control": status["control"]}
        named |= {f"worker-{one['worker']}": one["pid"] for one in status["workers"]}
        return {name: pid for name, pid in named.items() if pid}

    def connection(self) -> http.client.HTTPSConnection:
        """Return a connection that believes the workers of this home alone."""
        context = ssl.create_default_context(cafile=self.authority)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)

    @property
    def authority(self) -> Path:
        """Who signed the certificate of the workers."""
        return self.home / "tls" / "ca.pem"

    def ask(self, key: str, *, x: float = 1.0, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send one row over a new connection; return the status and the answer."""
        connection = self.connection()
        try:
            return ask_over(connection, key, x=x, headers=headers)
        finally:
            connection.close()


def ask_over(
    connection: http.client.HTTPConnection, key: str, *, x: float, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Send one row over a connection; return the status and the answer."""
    inputs = [
        {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [x]},
        {"name": "y", "shape": [1, 1], "datatype": "FP32", "data": [2.0]},
        {"name": "colour", "shape": [1, 1], "datatype": "BYTES", "data": ["red"]},
    ]
    body = json.dumps({"inputs": inputs})
    sent = {"Authorization": f"Bearer {key}", **headers} if key else headers
    connection.request("POST", "/v2/models/small/infer", body, sent)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def write_workload(folder: Path, *, port: int) -> None:
    """Write a workload that trains in a second."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only here
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows = 400
    x = [float(i % 20) - 10 for i in range(rows)]
    y = [float(i % 7) for i in range(rows)]
    table = pa.table(
        {
            "x": x,
            "y": y,
            "colour": [("red", "green", "blue")[i % 3] for i in range(rows)],
            "large": [int(a + b > 3) for a, b in zip(x, y, strict=True)],
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "rows.parquet")
    (folder / "train.py").write_text(TRAIN)
    (folder / "servewell.yaml").write_text(WORKLOAD.format(port=port))


def write_ready_made(folder: Path, *, port: int) -> None:
    """Write a workload whose two models were made elsewhere, so that nothing is trained."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "first.onnx").write_bytes(ready_made(slope=1.0))
    (folder / "second.onnx").write_bytes(ready_made(slope=0.5))
    (folder / "servewell.yaml").write_text(READY_MADE.format(port=port))


@cache
def ready_made(*, slope: float) -> bytes:
    """Return an ONNX model: the chance that x + y is over 3, and whether it is likely."""
    from onnx import TensorProto, helper  # noqa: PLC0415 - heavy, and only here

    def tensor(name: str, kind: int, *shape: int | str) -> Any:  # noqa: ANN401 - untyped library
        return helper.make_tensor_value_info(name, kind, shape)

    def number(name: str, value: float) -> Any:  # noqa: ANN401 - untyped library
        return helper.make_tensor(name, TensorProto.FLOAT, [1], [value])

    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "y"], ["sum"]),
            helper.make_node("Sub", ["sum", "three"], ["over"]),
            helper.make_node("Mul", ["over", "slope"], ["score"]),
            helper.make_node("Sigmoid", ["score"], ["likely"]),
            helper.make_node("Sub", ["one", "likely"], ["unlikely"]),
            helper.make_node("Concat", ["unlikely", "likely"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "small",
        [
            tensor("x", TensorProto.FLOAT, "n", 1),
            tensor("y", TensorProto.FLOAT, "n", 1),
            tensor("colour", TensorProto.STRING, "n", 1),
        ],
        [
            tensor("label", TensorProto.INT64, "n"),
            tensor("probabilities", TensorProto.FLOAT, "n", 2),
        ],
        [number("three", 3.0), number("slope", slope), number("one", 1.0)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stop_everything(home: Path) -> None:
    """Kill every process that was started for a home."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes()
        except OSError:
            continue
        if os.fsencode(home) in words and b"servewell" in words:
            kill(int(process.parent.name))


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may have gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def eventually(what: Callable[[], bool], *, within_s: float) -> float:
    """Wait until something holds; return the seconds that it took."""
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - started


@dataclass(kw_only=True)
class Load:
    """Callers that send one row after another until they are told to stop."""

    house: House
    key: str
    callers: int = 4
    answers: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._call) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_answers(self, more: int) -> None:
        """Return once so many more requests have been answered."""
        wanted = len(self.answers) + more
        eventually(lambda: len(self.answers) >= wanted, within_s=30)

    def _call(self) -> None:
        connection = self.house.connection()
        while not self._stop.is_set():
            try:
                status, answer = ask_over(connection, self.key, x=1.0, headers={})
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(repr(error))
                connection.close()
                time.sleep(0.01)
                continue
            if status == http.HTTPStatus.OK:
                self.answers.append(answer)
            else:
                self.refused.append((status, answer))
        connection.close()
