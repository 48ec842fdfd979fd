"""The fuzzer of the protocols of rows, for a few seconds."""

import json
from pathlib import Path

from serving.fuzzing import fuzz

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
    fuzz("rows.py", BODIES, tmp_path)
