"""Fuzz the framing of HTTP/1.1: `python tests/fuzz/framing.py [CORPUS] [OPTIONS]`.

Options are those of libFuzzer, such as `-max_total_time=60`. Whatever the bytes, and however they
are cut, the answers are well-formed and the same, and none says that the fault is ours. The first
byte is the size of the pieces.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["servewell.serving"]):
    from serving.http1_bytes import held


def one(data: bytes) -> None:
    """Try one input."""
    held(data[1:], 1 + (data[0] if data else 0))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
