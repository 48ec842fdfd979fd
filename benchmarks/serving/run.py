"""Run all benchmarks of serving in order, and put what they found together.

uv run python benchmarks/serving/run.py
uv run python benchmarks/serving/run.py --short

It says first how long that takes. Each part writes its own results when it is done; with
`--resume`, parts that were done on the same day are not done again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import binary
import limit
import protections
import single
from measuring import HERE
from options import begin
from progress import clock
from together import put_together

THREE: Final = ("--connections", "1", "32", "256")
OVERLOAD_S: Final = 180.0
# Name of its results, its script, and what it is told: those that matter most come first.
PARTS: Final = (
    ("limit", "limit", ("--rounds", "3")),
    ("protections", "protections", ("--rounds", "5", "--seconds", "2", "--warmup", "0.5")),
    ("single-quick", "single", ("--rounds", "2", "--open")),
    ("binary", "binary", ("--rounds", "2")),
    ("overload", "overload", ()),
    ("single-quick-2-workers", "single", ("--workers", "2", "--rounds", "1", *THREE)),
    ("single-flights", "single", ("--case", "flights", "--rounds", "2")),
)
SHORT: Final = ("--rounds", "1", "--seconds", "1", "--warmup", "0.3")
FEW: Final = ("--connections", "1", "32")
# Words that come later win.
SHORTER: Final = {
    "limit": SHORT,
    "protections": SHORT,
    "single": (*SHORT, *FEW),
    "binary": SHORT,
    "overload": ("--seconds", "1"),
}
PLANNED: Final = {
    "limit": lambda words: limit.planned_s(limit.options(words)),
    "protections": lambda words: protections.planned_s(protections.options(words)),
    "single": lambda words: single.planned_s(single.options(words)),
    "binary": lambda words: binary.planned_s(binary.options(words)),
    "overload": lambda words: OVERLOAD_S / (3 if words else 1),
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One benchmark, as it is run here."""

    name: str  # of its results
    script: str
    words: tuple[str, ...]

    @property
    def planned_s(self) -> float:
        """Return the seconds that it takes, about."""
        return float(PLANNED[self.script](list(self.words)))


class Chosen(argparse.Namespace):
    """What the command line may say."""

    short: bool
    resume: bool
    into: Path | None
    parts: list[str]


def main() -> None:
    """Run the parts."""
    chosen = _chosen()
    into = chosen.into or (Path(tempfile.mkdtemp()) if chosen.short else HERE / "results")
    date = time.strftime("%Y-%m-%d", time.gmtime())
    due = [
        Part(name=name, script=script, words=words + SHORTER[script] * chosen.short)
        for name, script, words in PARTS
        if name in chosen.parts and not (chosen.resume and (into / f"{date}-{name}.json").exists())
    ]
    _say(f"Results go to {into}.")
    for part in due:
        _say(f"{clock(part.planned_s):>6}  {part.name}")
    _say(f"{clock(sum(one.planned_s for one in due)):>6}  together, about")
    failed = [part.name for place, part in enumerate(due) if not _run(part, due[place:], into)]
    parts = {name: into / f"{date}-{name}.json" for name, _, _ in PARTS}
    _say(f"\nAll together: {put_together(date, into, parts)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _run(part: Part, left: list[Part], into: Path) -> bool:
    """Run one part; whether it did well. The others are run in any case."""
    left_s = sum(one.planned_s for one in left)
    done_at = time.strftime("%H:%M", time.localtime(time.time() + left_s))  # noqa: TID251 - for people
    _say(f"\n== {part.name}, {len(left)} to go, all done about {done_at}")
    began = time.perf_counter()
    command = [sys.executable, str(HERE / f"{part.script}.py"), *part.words]
    environment = {**os.environ, "SERVEWELL_BENCHMARK_RESULTS": str(into)}
    process = subprocess.Popen(command, env=environment)
    try:
        code = process.wait()
    except BaseException:  # it ends the servers that it started
        process.terminate()
        process.wait()
        raise
    _say(f"== {part.name} took {clock(time.perf_counter() - began)}")
    return code == 0


def _chosen() -> Chosen:
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    about = "a try of some minutes, whose figures mean nothing; into a new temporary folder"
    made.add_argument("--short", action="store_true", help=about)
    made.add_argument("--resume", action="store_true", help="leave out what was done today")
    made.add_argument("--into", type=Path, help="folder of the results")
    names = [name for name, _, _ in PARTS]
    made.add_argument("--parts", nargs="+", choices=names, default=names)
    return made.parse_args(namespace=Chosen())


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    begin(main)
