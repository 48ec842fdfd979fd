"""The fuzzer of the Open Inference Protocol, for a few seconds."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "fuzz" / "oip.py"
SECONDS = 3
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
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "json").write_bytes(b"\0" + json.dumps({"inputs": plain, **wishes}).encode())
    (corpus / "binary").write_bytes(b"\1" + len(text).to_bytes(2, "little") + text + tail)
    (corpus / "raw").write_bytes(b"\1\0\0" + b"\0\0\0\x3f" * 2)
    done = subprocess.run(
        [sys.executable, SCRIPT, corpus, f"-max_total_time={SECONDS}", "-rss_limit_mb=1024",
         "-max_len=4096", "-timeout=5"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "Done " in done.stderr
