"""The servers that are measured: how each is started, asked, paused and stopped."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

HERE: Final = Path(__file__).parent
EXAMPLE: Final = HERE.parents[1] / "examples" / "flight-delays"
ENDPOINT: Final = "flight-delays"
ANSWERS_WITHIN_S: Final = 60.0
LOOK_AGAIN_S: Final = 0.002
OK: Final = 200


@dataclass(kw_only=True)
class Server:
    """A server that runs, and how to ask it."""

    name: str
    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[str]
    checked: bool = True
    pids: list[int] = field(default_factory=list)  # first the process that answers
    start_s: float = 0.0  # from the start of its command to the first good answer
    back_s: float | None = None  # from the death of its worker to the next good answer

    def cpu_s(self) -> list[float]:
        """Return the processor time that each process has taken so far, in seconds."""
        times = [psutil.Process(pid).cpu_times() for pid in self.pids]
        return [one.user + one.system for one in times]

    def memory_mb(self) -> list[float]:
        """Return the resident memory of each process, in megabytes."""
        return [psutil.Process(pid).memory_info().rss / 1e6 for pid in self.pids]

    def pause(self) -> None:
        """Stop all its processes, so that they take nothing from the server that is measured."""
        for pid in reversed(self.pids):
            psutil.Process(pid).suspend()

    def resume(self) -> None:
        """Let its processes go on, and wait until it answers."""
        for pid in self.pids:
            psutil.Process(pid).resume()
        self.await_answer()

    def await_answer(self) -> None:
        """Wait until it answers a real request."""
        end = time.perf_counter() + ANSWERS_WITHIN_S
        while not self.answers():
            if time.perf_counter() > end:
                sys.exit(f"{self.name} does not answer on port {self.port}")
            time.sleep(LOOK_AGAIN_S)

    def answers(self) -> bool:
        """Whether it answers a real request."""
        with suppress(OSError, http.client.HTTPException):
            return _ask(self.port, "POST", self.path, self.headers, self.bodies[0])[0] == OK
        return False


@contextmanager
def constant(bodies: list[str], logs: Path) -> Iterator[Server]:
    """Run the server that answers a constant."""
    server = Server(name="limit", port=free_port(), path="/", bodies=bodies, checked=False)
    command = [sys.executable, str(HERE / "constant.py"), str(server.port)]
    with _running(server, command, logs, {}):
        yield server


@contextmanager
def peer(bodies: list[str], logs: Path, model: Path) -> Iterator[Server]:
    """Run FastAPI behind uvicorn with one worker, its fast loop and parser, and no access log."""
    server = Server(name="fastapi", port=free_port(), path="/predict", bodies=bodies)
    command = [
        *(sys.executable, "-m", "uvicorn", "peer:app", "--app-dir", str(HERE)),
        *("--port", str(server.port), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning"),
    ]
    with _running(server, command, logs, {"MODEL": str(model)}):
        yield server


@dataclass(kw_only=True)
class Home:
    """A home of Servewell, driven by its command line."""

    folder: Path
    port: int

    def command(self, *words: str) -> list[str]:
        """Return a command on this home."""
        return [sys.executable, "-m", "servewell", *words, "--home", str(self.folder)]

    def json(self, *words: str) -> Any:  # noqa: ANN401 - what the command answers
        """Run a command; return its answer."""
        done = subprocess.run(
            self.command(*words, "--json"), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"servewell {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def up(self) -> None:
        """Train where needed, and serve with one worker."""
        places = (f"serving.port={self.port}", "serving.workers=1")
        settings = [word for place in places for word in ("--set", place)]
        self.json("up", str(EXAMPLE), "--detach", *settings)

    def model(self) -> Path:
        """Return the ONNX file that it serves."""
        digest: str = self.json("models", "show", ENDPOINT)["manifest"]["artifact"]
        return self.folder / "blobs" / digest[:2] / digest

    def key(self, role: str) -> str:
        """Return a new key."""
        key: str = self.json("keys", "create", "benchmark", "--role", role)["key"]
        return key

    def pids(self) -> list[int]:
        """Return the processes, the worker first."""
        state = self.json("status")
        return [state["workers"][0]["pid"], state["supervisor"], state["control"]]

    def stages_us(self, newest: int) -> dict[str, list[int]]:
        """Return the stages of the newest records, in microseconds."""
        records = self.json("records", ENDPOINT, "--limit", str(newest))
        names = records[0]["stages_us"]
        return {name: [record["stages_us"][name] for record in records] for name in names}


@contextmanager
def servewell(home: Home, bodies: list[str]) -> Iterator[Server]:
    """Run Servewell as `servewell up` leaves it, with one worker and everything on."""
    server = Server(
        name="servewell",
        port=home.port,
        path=f"/v2/models/{ENDPOINT}/infer",
        headers={"authorization": f"Bearer {home.key('invoker')}"},
        bodies=bodies,
    )
    try:
        began = time.perf_counter()
        home.up()
        server.await_answer()
        server.start_s = time.perf_counter() - began
        server.back_s = _back_s(home, server)
        server.pids = home.pids()
        yield server
    finally:
        for pid in server.pids:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).resume()
        home.json("down")


def metrics(server: Server, key: str) -> dict[str, float]:
    """Return the counters of Servewell, by name and labels."""
    _, text = _ask(server.port, "GET", "/metrics", {"authorization": f"Bearer {key}"}, "")
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _running(
    server: Server, command: list[str], logs: Path, environment: dict[str, str]
) -> Iterator[None]:
    with (logs / f"{server.name}.log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **environment}
        )
        try:
            server.await_answer()
            server.start_s = time.perf_counter() - began
            server.pids = [process.pid]
            yield
        finally:
            process.kill()
            process.wait()


def _back_s(home: Home, server: Server) -> float:
    """Kill the worker; return the seconds until the supervisor's next one answers."""
    worker = psutil.Process(home.pids()[0])
    began = time.perf_counter()
    worker.kill()
    with suppress(psutil.NoSuchProcess):
        worker.wait(5)
    server.await_answer()
    return time.perf_counter() - began


def _ask(port: int, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(
            method, path, body or None, {"content-type": "application/json", **headers}
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
