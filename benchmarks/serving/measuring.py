"""One measurement of one server, and what all benchmarks have in common."""

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
from load import Measured, Plan
from servers import FailedError, Server

HERE: Final = Path(__file__).parent
PACKAGES: Final = ("httptools", "msgspec", "numpy", "onnxruntime", "uvloop")
MICRO: Final = 1_000_000
RESULTS: Final = Path(os.environ.get("SERVEWELL_BENCHMARK_RESULTS", HERE / "results"))


class Slot(msgspec.Struct, kw_only=True):
    """One measurement of one server."""

    server: str
    title: str
    connections: int
    measured: Measured
    cpu_s: float  # of the processes that answer, in the measurement
    cpu_all_s: float  # of all processes of the server, in the measurement
    memory_mb: float
    memory_all_mb: float
    start_s: float
    factor: float = 0.0  # of an open loop: the rate, in capacities
    rate: float = 0.0  # of an open loop: requests a second that were due; 0 for a closed loop

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return self.measured.requests / self.measured.seconds

    @property
    def cpu_us(self) -> float:
        """Processor time of the answering processes for one request."""
        return self.cpu_s / max(1, self.measured.requests) * MICRO

    @property
    def cpu_all_us(self) -> float:
        """Processor time of all processes of the server for one request."""
        return self.cpu_all_s / max(1, self.measured.requests) * MICRO


def measure(server: Server, plan: Plan, scratch: Path, *, factor: float = 0.0) -> Slot:
    """Run the generator; read the processes of the server when it begins and when it ends."""
    file = scratch / "plan"
    file.write_bytes(msgspec.msgpack.encode(plan))
    command = [sys.executable, str(HERE / "load.py"), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdout is not None  # noqa: S101 - it was asked for
        generator.stdout.readline()
        before = server.cpu_s()
        generator.stdout.readline()
        after, memory = server.cpu_s(), server.memory_mb()
        measured = msgspec.json.decode(generator.stdout.readline(), type=Measured)
    if measured.wrong:
        raise FailedError(f"{server.title}, {plan.connections} connections: {measured.wrong}")
    return Slot(
        server=server.name,
        title=server.title,
        connections=plan.connections,
        measured=measured,
        cpu_s=after[0] - before[0],
        cpu_all_s=after[1] - before[1],
        memory_mb=memory[0],
        memory_all_mb=memory[1],
        start_s=server.start_s,
        factor=factor,
        rate=plan.rate,
    )


def conditions(**further: object) -> dict[str, Any]:
    """Return what the figures hold for."""
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit.stdout.strip(),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "packages": {name: version(name) for name in PACKAGES},
        **further,
    }


def sentence(held: dict[str, Any]) -> str:
    """Return the conditions in words."""
    packages = ", ".join(f"{name} {number}" for name, number in held["packages"].items())
    return (
        f"{held['processor']}, {held['cores']} cores shared by server and generator; "
        f"{held['system']}, Python {held['python']}, {packages}; commit {held['commit']}. "
        f"{held['how']}"
    )


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    """Return a table in Markdown."""
    names = list(head)
    rows = [names, ["---"] * len(names), *lines]
    return ["| " + " | ".join(row) + " |" for row in rows]


def left_out(failed: dict[str, str]) -> list[str]:
    """Say which servers are left out of the results, and why."""
    return [line for why in failed.values() for line in (f"Left out: {why}.", "")]


def keep(name: str, held: dict[str, Any], data: dict[str, Any], text: list[str]) -> None:
    """Write results as JSON and as text beside it; show the text."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    stem = RESULTS / f"{held['date']}-{name}"
    packed = msgspec.json.encode({"conditions": held, **data})
    stem.with_suffix(".json").write_bytes(msgspec.json.format(packed) + b"\n")
    written = "\n".join([*text, ""])
    stem.with_suffix(".md").write_text(written)
    sys.stdout.write(written)
