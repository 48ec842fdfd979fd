"""Start MLServer in process (no parallel workers), the fastest of its forms for a quick model."""

import json
import os
import sys
import tempfile
from pathlib import Path

port, model, _ = sys.argv[1:]
HERE = Path(__file__).parent
folder = Path(tempfile.mkdtemp(prefix="mlserver-"))
settings = {
    "host": "127.0.0.1",
    "http_port": int(port),
    "grpc_port": int(port) + 1,
    "metrics_endpoint": None,
    "parallel_workers": 0,
    "debug": False,
}
(folder / "settings.json").write_text(json.dumps(settings))
(folder / "model-settings.json").write_text(
    json.dumps({"name": "model", "implementation": "model.Runtime"})
)
program = str(Path(sys.executable).parent / "mlserver")
environment = {**os.environ, "MODEL": model, "PYTHONPATH": str(HERE)}
os.execve(program, [program, "start", str(folder)], environment)
