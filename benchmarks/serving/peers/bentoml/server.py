"""Start BentoML."""

import os
import sys
from pathlib import Path

port, model, workers = sys.argv[1:]
program = str(Path(sys.executable).parent / "bentoml")
environment = {
    **os.environ,
    "MODEL": model,
    "WORKERS": workers,
    "BENTOML_DO_NOT_TRACK": "True",
    "BENTOML_LOG_LEVEL": "WARNING",
}
os.chdir(Path(__file__).parent)
arguments = [program, "serve", "service:Model", "--host", "127.0.0.1", "--port", port]
os.execve(program, arguments, environment)
