"""The fuzzer of the Open Inference Protocol, for a few seconds."""

import json
from pathlib import Path

from serving.fuzzing import fuzz

TENSORS = (
    ("f", "FP32", [0.5], b"\0\0\0\x3f"),
    ("i", "INT8", [1], b"\1"),
    ("t", "BYTES", ["a"], b"\1\0\0\0a"),
    ("b", "BOOL", [True], b"\1"),
)


def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """From good requests in JSON and binary, coverage-guided mutations break no promise."""
    plain, binary, tail = [], [], b""
    for name, datatype, data, raw in TENSORS:
        tensor = {"name": name, "shape": [1, 1], "datatype": datatype}
        plain.append(tensor | {"data": data})
        binary.append(tensor | {"parameters": {"binary_data_size": len(raw)}})
        tail += raw
    wishes = {"parameters": {"timeout": 5, "binary_data_output": True}, "outputs": [{"name": "o"}]}
    text = json.dumps({"inputs": binary, **wishes}).encode()
    seeds = {
        "json": b"\0" + json.dumps({"inputs": plain, **wishes}).encode(),
        "binary": b"\1" + len(text).to_bytes(2, "little") + text + tail,
        "raw": b"\1\0\0" + b"\0\0\0\x3f" * 2,
    }
    fuzz("oip.py", seeds, tmp_path)
