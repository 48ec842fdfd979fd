"""The fuzzer of the protocols of rows, for a few seconds."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "fuzz" / "rows.py"
SECONDS = 3
ROW = {"f": 0.5, "i": 1, "t": "a", "b": True}
TABLE = {"columns": list(ROW), "index": [0], "data": [list(ROW.values())]}
EVENT = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"inputs": [ROW]}}
BODIES = {
    "table": b"\0" + json.dumps({"dataframe_split": TABLE, "params": {}}).encode(),
    "azure": b"\0" + json.dumps({"input_data": TABLE}).encode(),
    "records": b"\0" + json.dumps({"instances": [ROW, list(ROW.values())]}).encode(),
    "columns": b"\0" + json.dumps({"inputs": {name: [one] for name, one in ROW.items()}}).encode(),
    "nested": b"\0" + json.dumps({"inputs": [[[1, 2], [3, 4]]]}).encode(),
    "missing": b'\0{"instances": [[NaN, 1, null, false]]}',
    "csv": b"\1f,i,t,b\n0.5,1,a,True\n,2,,false\n",
    "event": b"\2" + json.dumps(EVENT).encode(),
}


def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """From good bodies of each shape, coverage-guided mutations break no promise."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, body in BODIES.items():
        (corpus / name).write_bytes(body)
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
