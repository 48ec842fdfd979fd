"""Start FastAPI with uvicorn: uvloop, httptools, no access log."""

import os
import sys
from pathlib import Path

port, model, workers = sys.argv[1:]
program = [sys.executable, "-m", "uvicorn", "service:app", "--host", "127.0.0.1", "--port", port]
program += ["--workers", workers, "--loop", "uvloop", "--http", "httptools"]
program += ["--no-access-log", "--log-level", "warning"]
os.chdir(Path(__file__).parent)
os.execve(program[0], program, {**os.environ, "MODEL": model})
