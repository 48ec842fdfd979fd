"""How much a process grows that loads a model and runs it: a program of its own.

It imports nothing but ONNX Runtime, so that what it measures is the model's.
"""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

ROWS: Final = 128
WITHIN_S: Final = 120.0
KINDS: Final = {
    "tensor(bool)": "bool",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(string)": "object",
}


def memory_bytes(model: Path, *, within_s: float = WITHIN_S) -> int | None:
    """Return the growth in bytes; None where it could not be measured, or not within the time."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(model)],
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return int(done.stdout) if done.returncode == 0 else None


def growth(model: Path) -> int:
    """Load a model in this process, run a batch of plain rows, and return the growth."""
    before = _resident()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    session.run(None, {one.name: _plain(one) for one in session.get_inputs()})
    return max(0, _resident() - before)


def _plain(one: onnxruntime.NodeArg) -> object:
    kind = KINDS.get(one.type) or one.type.removeprefix("tensor(").removesuffix(")")
    shape = (ROWS, *(size if isinstance(size, int) else 1 for size in one.shape[1:]))
    return np.full(shape, "" if kind == "object" else 0, dtype=kind)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.stdout.write(str(growth(Path(sys.argv[1]))))
