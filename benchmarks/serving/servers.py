"""Servers that run: Servewell, a peer, or a constant; each started for its turn and stopped."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from load import Plan
from peers import Peer

HERE: Final = Path(__file__).parent
ANSWERS_WITHIN_S: Final = 120.0
LOOK_AGAIN_S: Final = 0.002
OK: Final = 200


class FailedError(SystemExit):
    """A server does not answer, or not rightly. Where nobody catches it, it ends the benchmark."""


@dataclass(kw_only=True)
class Server:
    """A server that runs, and how to ask it."""

    name: str
    title: str
    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[bytes]
    expected: list[float] | None = None  # what each body is answered; None where nobody looks
    tls: bool = False
    answering: list[int] = field(default_factory=list)  # processes that answer
    others: list[int] = field(default_factory=list)  # those beside them
    start_s: float = 0.0  # from the start of its command to the first good answer

    def plan(
        self,
        *,
        connections: int,
        seconds: float,
        warmup: float,
        rate: float = 0.0,
        traced: bool = False,
    ) -> Plan:
        """Return what to send it, and for how long; with a `rate`, in an open loop."""
        return Plan(
            port=self.port,
            path=self.path,
            headers=self.headers,
            bodies=self.bodies,
            expected=self.expected,
            connections=connections,
            warmup_s=warmup,
            seconds=seconds,
            rate=rate,
            tls=self.tls,
            traced=traced,
        )

    def cpu_s(self) -> tuple[float, float]:
        """Return the processor time so far of those that answer, and of all, in seconds."""
        answering = sum(_cpu_s(pid) for pid in self.answering)
        return answering, answering + sum(_cpu_s(pid) for pid in self.others)

    def memory_mb(self) -> tuple[float, float]:
        """Return the memory of those that answer, and of all; shared pages count in part."""
        answering = sum(_memory_mb(pid) for pid in self.answering)
        return answering, answering + sum(_memory_mb(pid) for pid in self.others)

    def await_answer(self) -> None:
        """Wait until it answers a real request."""
        end = time.perf_counter() + ANSWERS_WITHIN_S
        while not self.answers():
            if time.perf_counter() > end:
                raise FailedError(f"{self.title} does not answer on port {self.port}")
            time.sleep(LOOK_AGAIN_S)

    def answers(self) -> bool:
        """Whether it answers a real request."""
        with suppress(OSError, http.client.HTTPException):
            asked = (self.port, "POST", self.path, self.headers, self.bodies[0])
            return ask(*asked, tls=self.tls)[0] == OK
        return False


@dataclass(kw_only=True)
class Home:
    """A home of Servewell, driven by its command line."""

    folder: Path
    workload: Path
    port: int
    workers: int = 1
    settings: tuple[str, ...] = ()  # further `--set` of the workload
    keys: dict[str, str] = field(default_factory=dict)  # by role, as they were made

    @property
    def name(self) -> str:
        """Name of the workload, its model and its endpoint."""
        found = re.search(r"^workload: (\S+)", self.workload.read_text(), re.MULTILINE)
        return found[1] if found else ""

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
        """Make the model where needed, and serve."""
        places = (
            f"serving.port={self.port}",
            f"serving.workers={self.workers}",
            "serving.tls.mode=off",
            *self.settings,
        )
        settings = [word for place in places for word in ("--set", place)]
        self.json("up", str(self.workload.parent), "--detach", *settings)

    def model(self) -> Path:
        """Return the ONNX file that it serves."""
        digest: str = self.json("models", "show", self.name)["manifest"]["artifact"]
        return self.folder / "blobs" / digest[:2] / digest

    def down(self) -> None:
        """Stop serving."""
        subprocess.run(self.command("down"), capture_output=True, check=False)

    def key(self, role: str, *further: str) -> str:
        """Return a key of this role; it is made, with what `further` says, the first time."""
        if role not in self.keys:
            made = self.json("keys", "create", "benchmark", "--role", role, *further)
            self.keys[role] = made["key"]
        return self.keys[role]


@contextmanager
def servewell(
    home: Home, bodies: list[bytes], headers: dict[str, str] | None = None, *, title: str = ""
) -> Iterator[Server]:
    """Run Servewell as `servewell up` leaves it, everything on."""
    server = Server(
        name="servewell",
        title=title or "Servewell, everything on",
        port=home.port,
        path=f"/v2/models/{home.name}/infer",
        bodies=bodies,
    )
    try:
        began = time.perf_counter()
        home.up()
        started = time.perf_counter() - began  # to make a key is no part of it
        server.headers = {"authorization": f"Bearer {home.key('invoker')}", **(headers or {})}
        began = time.perf_counter()
        server.await_answer()
        server.start_s = started + time.perf_counter() - began
        state = home.json("status")
        server.answering = [one["pid"] for one in state["workers"]]
        server.others = [state["supervisor"], state["control"]]
        yield server
    finally:
        home.down()


@contextmanager
def stripped(
    home: Home, bodies: list[bytes], logs: Path, *, without: tuple[str, ...], tls: bool = False
) -> Iterator[Server]:
    """Run a worker alone, without some of its protections, on a copy of a home that is down."""
    port = free_port()
    server = Server(
        name="+".join((*without, *(["tls"] if tls else []))) or "all",
        title="a worker",
        port=port,
        path=f"/v2/models/{home.name}/infer",
        headers={"authorization": f"Bearer {home.key('invoker')}"},
        bodies=bodies,
        tls=tls,
    )
    copy = logs / f"home-{server.name}"
    shutil.copytree(home.folder, copy, ignore=shutil.ignore_patterns("run"), dirs_exist_ok=True)
    program = [sys.executable, str(HERE / "stripped.py"), str(copy), str(port)]
    with _running(server, [*program, "tls" if tls else "plain", *without], logs):
        yield server


@contextmanager
def peer(  # noqa: PLR0913 - what a benchmark may vary
    one: Peer, bodies: list[bytes], model: Path, logs: Path, *, workers: int = 1, path: str = ""
) -> Iterator[Server]:
    """Run a peer with nothing on."""
    server = Server(
        name=one.name, title=one.title, port=free_port(), path=path or one.path, bodies=bodies
    )
    with _running(server, one.command(server.port, model, workers), logs):
        yield server


@contextmanager
def constant(bodies: list[bytes], logs: Path) -> Iterator[Server]:
    """Run a worker's loop and parser, answering a constant."""
    server = Server(
        name="constant",
        title="the same loop, a constant",
        port=free_port(),
        path="/",
        bodies=bodies,
    )
    with _running(server, [sys.executable, str(HERE / "constant.py"), str(server.port)], logs):
        yield server


@contextmanager
def nginx(bodies: list[bytes], logs: Path) -> Iterator[Server]:
    """Run nginx with one worker, answering a constant."""
    server = Server(
        name="nginx", title="nginx, a constant", port=free_port(), path="/", bodies=bodies
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit("nginx is not installed; on Debian: apt-get install nginx-light")
    file = logs / "nginx.conf"
    template = (HERE / "nginx.conf").read_text()
    file.write_text(template.replace("PORT", str(server.port)).replace("FOLDER", str(logs)))
    with _running(server, [program, "-c", str(file)], logs):
        yield server


def metrics(port: int, key: str) -> dict[str, float]:
    """Return Servewell's metrics."""
    _, text = ask(port, "GET", "/metrics", {"authorization": f"Bearer {key}"}, b"")
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def free_port() -> int:
    """Return a port that nobody listens on; the two after it are as a rule free too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(  # noqa: PLR0913 - a request has these
    port: int,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    *,
    tls: bool = False,
) -> tuple[int, str]:
    """Send one request; return status and body. A certificate is not judged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    if tls:
        unjudged = ssl._create_unverified_context()  # noqa: S323, SLF001 - it is our own
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=unjudged)
    try:
        connection.request(
            method, path, body or None, {"content-type": "application/json", **headers}
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


@contextmanager
def _running(server: Server, command: list[str], logs: Path) -> Iterator[None]:
    with (logs / f"{server.name}.log").open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, cwd=logs
        )
        try:
            server.await_answer()
            server.start_s = time.perf_counter() - began
            family = psutil.Process(process.pid).children(recursive=True)
            server.answering = [process.pid, *(one.pid for one in family)]
            yield
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started, however they are grouped."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        psutil.wait_procs(family, timeout=3)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    process.kill()
    process.wait()


def _cpu_s(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return 0.0


def _memory_mb(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(psutil.Process(pid).memory_full_info().pss) / 1e6
    return 0.0
