"""What every benchmark takes on its command line, and how it begins and ends."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final

GENERATOR_S: Final = 0.5  # that the generator takes to start


class Options(argparse.Namespace):
    """What the command line may say; each benchmark has those that it needs."""

    rounds: int
    seconds: float
    warmup: float
    servers: list[str]
    connections: list[int]
    workers: int = 1
    case: str
    open: bool = False

    @property
    def point_s(self) -> float:
        """Seconds that one measurement takes, with all about it."""
        return self.warmup + self.seconds + GENERATOR_S


def parser(about: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Return a parser of what all have in common; `about` is the docstring of the benchmark."""
    made = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    made.add_argument("--warmup", type=float, default=1.0, help="seconds before each")
    return made


def read(given: argparse.ArgumentParser, words: Sequence[str] | None = None) -> Options:
    """Return what the command line says."""
    return given.parse_args(words, namespace=Options())


def begin(main: Callable[[], None]) -> None:
    """Run a benchmark; whatever ends it, the servers that it started end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
