"""What was measured, as a table, as JSON and as a picture."""

import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import matplotlib as mpl
import msgspec
from load import Measured

mpl.use("Agg")

from matplotlib import pyplot as plt

NAMES: Final = {
    "servewell": "Servewell, everything on",
    "fastapi": "FastAPI + uvicorn, nothing on",
    "limit": "a constant, the limit",
}
COLOURS: Final = {"servewell": "#1b6ca8", "fastapi": "#c8553d", "limit": "#999999"}
PACKAGES: Final = ("fastapi", "httptools", "numpy", "onnxruntime", "pydantic", "uvicorn", "uvloop")
STAGES: Final = ("authenticate", "decode", "queue", "infer", "encode")
REST: Final = "all else"
MANY: Final = 32
MICRO: Final = 1_000_000


class Slot(msgspec.Struct, kw_only=True):
    """One measurement of one server."""

    server: str
    connections: int
    measured: Measured
    cpu_s: float  # of the process that answers, in the measurement
    turn_cpu_s: float  # of all its processes, from the moment it was let go on
    memory_mb: list[float]
    counters: dict[str, float] = {}  # how far Servewell's own metrics went
    stages_us: dict[str, list[int]] = {}  # of its newest records

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.measured.requests / self.measured.seconds

    @property
    def cpu_us(self) -> float:
        """Processor time of the answering process for one request."""
        return self.cpu_s / self.measured.requests * MICRO

    @property
    def cpu_all_us(self) -> float:
        """Processor time of all processes of the server for one request, over its whole turn."""
        return self.turn_cpu_s / self.measured.answers * MICRO


class Start(msgspec.Struct, kw_only=True):
    """How long a server takes to answer."""

    start_s: float
    back_s: float | None


class Conditions(msgspec.Struct, kw_only=True):
    """What the figures hold for."""

    date: str
    rounds: int
    seconds: float
    warmup_s: float
    rows: int
    commit: str
    processor: str
    cores: int
    python: str
    system: str
    packages: dict[str, str]


class Busy(msgspec.Struct, kw_only=True):
    """Where the time of one request goes, in microseconds; means over all rounds."""

    connections: int
    latency: dict[str, float]  # by stage, from the counters
    recorded_p50: dict[str, float]  # by stage, from the newest records
    processor: dict[str, float]  # by stage and REST, of the worker
    batch: float  # requests in one run of the model


def machine() -> dict[str, Any]:
    """Return what the measurement ran on."""
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "commit": commit.stdout.strip(),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "packages": {name: version(name) for name in PACKAGES},
    }


def write(
    slots: list[Slot], starts: dict[str, Start], conditions: Conditions, folder: Path
) -> Path:
    """Write the results of a run; return the file with the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    busy = [busy_of(_of(slots, "servewell", count)) for count in _looked_into(slots)]
    data = {
        "conditions": conditions, "starts": starts, "summary": summary(slots),
        "ratios": ratios(slots), "stages": busy, "slots": slots,
    }  # fmt: skip
    for slot in slots:
        slot.stages_us = {}  # thousands of numbers that `busy` has summed up
    stem = folder / conditions.date
    stem.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")
    draw(slots, busy, stem.with_suffix(".png"))
    text = tables(slots, starts, conditions, busy)
    stem.with_suffix(".md").write_text(text)
    return stem.with_suffix(".md")


def summary(slots: list[Slot]) -> list[dict[str, Any]]:
    """Return the medians over the rounds, for each server and number of connections."""
    figures: dict[str, Callable[[Slot], float]] = {
        "per_second": lambda slot: slot.per_second,
        "p50_us": lambda slot: slot.measured.p50_us,
        "p99_us": lambda slot: slot.measured.p99_us,
        "cpu_us": lambda slot: slot.cpu_us,
        "cpu_all_us": lambda slot: slot.cpu_all_us,
        "memory_mb": lambda slot: slot.memory_mb[0],
        "memory_all_mb": lambda slot: sum(slot.memory_mb),
        "generator_busy": lambda slot: slot.measured.generator_busy,
    }
    return [
        {"server": server, "connections": count}
        | {name: median(map(figure, _of(slots, server, count))) for name, figure in figures.items()}
        for count in _counts(slots)
        for server in NAMES
    ]


def ratios(slots: list[Slot]) -> list[dict[str, float]]:
    """Return Servewell to FastAPI in each round: the median, the least and the most."""
    found = []
    for count in _counts(slots):
        pairs = list(zip(_of(slots, "servewell", count), _of(slots, "fastapi", count), strict=True))
        speed = [ours.per_second / theirs.per_second for ours, theirs in pairs]
        tail = [ours.measured.p99_us / theirs.measured.p99_us for ours, theirs in pairs]
        found.append(
            {
                "connections": count,
                "per_second": median(speed),
                "per_second_least": min(speed),
                "per_second_most": max(speed),
                "p99": median(tail),
            }
        )
    return found


def busy_of(slots: list[Slot]) -> Busy:
    """Return where the time goes in these measurements of Servewell.

    The stages are wall time, of which a run of the model counts for each request of its batch; so
    its share of the processor is divided by the size of the batch. What the worker's processor
    time holds beyond the stages is reading, framing, routing, the record, metrics and sending.
    """
    batch = _counted(slots, "rows_total") / _counted(slots, "batches_total")
    answered = _counted(slots, "request_seconds_count")
    latency = {
        stage: _counted(slots, "stage_seconds_total", f'stage="{stage}"') / answered * MICRO
        for stage in STAGES
    }
    processor = {stage: latency[stage] for stage in ("authenticate", "decode", "encode")}
    processor["infer"] = latency["infer"] / batch
    processor[REST] = max(0.0, mean(slot.cpu_us for slot in slots) - sum(processor.values()))
    recorded = {
        stage: median(us for slot in slots for us in slot.stages_us[stage]) for stage in STAGES
    }
    return Busy(
        connections=slots[0].connections,
        latency=latency,
        recorded_p50=recorded,
        processor=processor,
        batch=batch,
    )


def tables(
    slots: list[Slot], starts: dict[str, Start], conditions: Conditions, busy: list[Busy]
) -> str:
    """Return the results for people."""
    return "\n".join(
        [
            f"# One row a request, {conditions.date}",
            "",
            _sentence(conditions),
            "",
            *_throughput(slots),
            "",
            *_ratio_table(slots),
            "",
            *_start_table(starts),
            "",
            *_stage_table(busy),
            "",
            f"![Requests a second, p99 and where the time goes]({conditions.date}.png)",
            "",
        ]
    )


def draw(slots: list[Slot], busy: list[Busy], file: Path) -> None:
    """Draw requests a second and p99 by connections, and where a request's time goes."""
    figure, (speed, tail, stages) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    figures = summary(slots)
    for server, name in NAMES.items():
        own = [one for one in figures if one["server"] == server]
        counts = [one["connections"] for one in own]
        style = {"label": name, "color": COLOURS[server], "marker": "o"}
        speed.plot(counts, [one["per_second"] for one in own], **style)
        tail.plot(counts, [one["p99_us"] / 1_000 for one in own], **style)
    for axes, title in ((speed, "requests a second"), (tail, "p99, ms")):
        axes.set(title=title, xlabel="connections", xscale="log", yscale="log")
        axes.set_xticks(_counts(slots), [str(count) for count in _counts(slots)])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    _stack(stages, busy)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _stack(axes: plt.Axes, busy: list[Busy]) -> None:
    places = [f"{one.connections} conn." for one in busy]
    bottoms = [0.0] * len(busy)
    for stage in ("authenticate", "decode", "infer", "encode", REST):
        heights = [one.processor[stage] for one in busy]
        axes.bar(places, heights, bottom=bottoms, label=stage, width=0.5)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set(title="Servewell's worker: processor µs a request")
    axes.legend(fontsize=8)


def _sentence(conditions: Conditions) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in conditions.packages.items())
    return (
        f"{conditions.processor}, {conditions.cores} cores shared by server and generator; "
        f"{conditions.system}, Python {conditions.python}, {packages}; commit "
        f"{conditions.commit}. Medians of {conditions.rounds} interleaved rounds of "
        f"{conditions.seconds:g} s after {conditions.warmup_s:g} s of warm-up; "
        f"{conditions.rows} different rows, every status and one answer in fifty checked."
    )


def _throughput(slots: list[Slot]) -> list[str]:
    head = (
        "connections",
        "server",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU µs/request, worker (all processes)",
        "memory MB, worker (all)",
        "generator busy",
    )
    return _table(
        head,
        (
            (
                f"{one['connections']}",
                NAMES[one["server"]],
                f"{one['per_second']:,.0f}",
                f"{one['p50_us'] / 1_000:.2f}",
                f"{one['p99_us'] / 1_000:.2f}",
                f"{one['cpu_us']:.0f} ({one['cpu_all_us']:.0f})",
                f"{one['memory_mb']:.0f} ({one['memory_all_mb']:.0f})",
                f"{one['generator_busy']:.0%}",
            )
            for one in summary(slots)
        ),
    )


def _ratio_table(slots: list[Slot]) -> list[str]:
    head = ("connections", "requests/s, Servewell to FastAPI", "least and most", "p99")
    return _table(
        head,
        (
            (
                f"{one['connections']:g}",
                f"{one['per_second']:.1f} x",
                f"{one['per_second_least']:.1f} to {one['per_second_most']:.1f} x",
                f"{one['p99']:.2f} x",
            )
            for one in ratios(slots)
        ),
    )


def _start_table(starts: dict[str, Start]) -> list[str]:
    head = ("server", "from its command to the first answer", "from `kill -9` to the next answer")
    return _table(
        head,
        (
            (
                NAMES[server],
                f"{one.start_s:.2f} s",
                "" if one.back_s is None else f"{one.back_s:.2f} s",
            )
            for server, one in starts.items()
        ),
    )


def _stage_table(busy: list[Busy]) -> list[str]:
    head = ["stage, µs a request"]
    for one in busy:
        where = f"{one.connections} conn."
        head += [f"{where}: spent", f"{where}: recorded median", f"{where}: processor"]
    lines = []
    for stage in (*STAGES, REST):
        line = [stage]
        for one in busy:
            line += [
                _number(part.get(stage)) for part in (one.latency, one.recorded_p50, one.processor)
            ]
        lines.append(line)
    total = ["together"]
    for one in busy:
        total += ["", "", _number(sum(one.processor.values()))]
    batches = ", ".join(f"{one.batch:.1f} at {one.connections}" for one in busy)
    return [*_table(head, [*lines, total]), "", f"Requests in one run of the model: {batches}."]


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    rows = [names, ["---"] * len(names), *lines]
    return ["| " + " | ".join(row) + " |" for row in rows]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _counts(slots: list[Slot]) -> list[int]:
    return sorted({slot.connections for slot in slots})


def _looked_into(slots: list[Slot]) -> list[int]:
    """Return the fewest connections, and those of the headline or the most."""
    counts = _counts(slots)
    return sorted({counts[0], MANY if MANY in counts else counts[-1]})


def _of(slots: list[Slot], server: str, connections: int) -> list[Slot]:
    return [one for one in slots if (one.server, one.connections) == (server, connections)]


def _counted(slots: list[Slot], name: str, label: str = "") -> float:
    return sum(
        value
        for slot in slots
        for counter, value in slot.counters.items()
        if counter.startswith(f"servewell_{name}{{") and label in counter
    )
