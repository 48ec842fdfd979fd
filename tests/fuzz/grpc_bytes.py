"""Fuzzing of HTTP/2 and gRPC, guided by coverage: `python tests/fuzz/grpc_bytes.py -runs=100000`.

The first byte says what the others are: the bytes of a connection after its preface, or a request
for predictions.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["servewell.serving", "h2"]):
    from servewell.serving.http2.frames import PREFACE
    from serving.http2_bytes import frame, heard, read


def one(data: bytes) -> None:
    """Try one input."""
    rest = data[1:]
    if data[:1] < b"\x80":
        heard([PREFACE + frame(4, 0, 0, b"") + rest[:200], rest[200:]])
    else:
        read(rest)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
