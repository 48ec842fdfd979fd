"""Save the model in MLflow's ONNX flavour, and start `mlflow models serve`."""

import os
import sys
import tempfile
from pathlib import Path

import mlflow.onnx
import onnx

port, model, workers = sys.argv[1:]
folder = Path(tempfile.mkdtemp(prefix="mlflow-")) / "model"
mlflow.onnx.save_model(onnx.load(model), str(folder), pip_requirements=[])
program = str(Path(sys.executable).parent / "mlflow")
arguments = [program, "models", "serve", "-m", str(folder), "--env-manager", "local"]
arguments += ["--host", "127.0.0.1", "--port", port, "--workers", workers]
environment = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "UVICORN_ACCESS_LOG": "false",
}
os.execve(program, arguments, environment)
