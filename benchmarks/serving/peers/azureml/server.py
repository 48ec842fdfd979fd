"""Start the inference server of Azure Machine Learning."""

import os
import sys
from pathlib import Path

port, model, workers = sys.argv[1:]
program = str(Path(sys.executable).parent / "azmlinfsrv")
arguments = [program, "--entry_script", str(Path(__file__).parent / "score.py")]
arguments += ["--port", port, "--health_port", str(int(port) + 1), "--worker_count", workers]
environment = {**os.environ, "MODEL": model, "AML_APP_ROOT": str(Path(__file__).parent)}
os.execve(program, arguments, environment)
