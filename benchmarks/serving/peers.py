"""The peers: how each is started, what it is sent, and the environment of its own that it needs."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

HERE: Final = Path(__file__).parent
CACHE: Final = (
    Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "servewell-benchmarks"
)
SYSTEM_PYTHON: Final = "/usr/bin/python3.11"  # PyTriton's stub runs on no other build of Python


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A server that others wrote."""

    name: str
    title: str
    path: str
    body: Callable[[Any], object]  # rows, an array of shape `(rows, 30)`, to what it is sent
    batch_path: str = ""  # where it takes several rows; empty where that is `path`
    batches: bool = False  # whether one request may carry several rows
    folder: str = ""
    python: str = "3.11"

    @property
    def place(self) -> Path:
        """The folder of its server."""
        return HERE / "peers" / (self.folder or self.name)

    def interpreter(self) -> Path:
        """Return the Python of its environment; make the environment where there is none."""
        home = CACHE / self.name
        python = home / "bin" / "python"
        ready = home / "ready"
        if not ready.exists():
            sys.stdout.write(f"{self.title}: making its environment\n")
            _uv("venv", "-q", "--allow-existing", "--python", self.python, str(home))
            requirements = str(self.place / "requirements.txt")
            install = ("pip", "install", "-q", "--prerelease=allow", "--python", str(python))
            _uv(*install, "-r", requirements)
            ready.touch()
        return python

    def command(self, port: int, model: Path, workers: int) -> list[str]:
        """Return what starts it."""
        server = str(self.place / "server.py")
        return [str(self.interpreter()), server, str(port), str(model), str(workers)]


def open_inference(rows: Any) -> object:  # noqa: ANN401 - an array
    """Return rows as a request of the Open Inference Protocol with one tensor."""
    data = [float(one) for one in rows.reshape(-1)]
    tensor = {"name": "features", "shape": list(rows.shape), "datatype": "FP32", "data": data}
    return {"inputs": [tensor]}


def binary_open_inference(rows: Any) -> tuple[bytes, int]:  # noqa: ANN401 - an array
    """Return rows as a request with a binary tensor and a binary answer; and its JSON's length."""
    tensor = {
        "name": "features",
        "shape": list(rows.shape),
        "datatype": "FP32",
        "parameters": {"binary_data_size": rows.nbytes},
    }
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = msgspec.json.encode({"inputs": [tensor], "outputs": wanted})
    return head + rows.astype("<f4").tobytes(), len(head)


def _nested(rows: Any) -> list[list[float]]:  # noqa: ANN401 - an array
    return [[float(one) for one in row] for row in np.asarray(rows)]


def _features(rows: Any) -> object:  # noqa: ANN401 - an array
    nested = _nested(rows)
    return {"features": nested[0] if len(nested) == 1 else nested}


PEERS: Final = {
    one.name: one
    for one in (
        Peer(
            name="fastapi",
            title="FastAPI + uvicorn",
            path="/predict",
            batch_path="/batch",
            batches=True,
            body=_features,
        ),
        Peer(
            name="pytriton",
            title="PyTriton",
            path="/v2/models/model/infer",
            batches=True,
            body=open_inference,
            python=SYSTEM_PYTHON,
        ),
        Peer(
            name="ray",
            title="Ray Serve",
            path="/",
            body=_features,
        ),
        Peer(
            name="kserve",
            title="KServe V1",
            path="/v1/models/model:predict",
            batches=True,
            body=lambda rows: {"instances": _nested(rows)},
        ),
        Peer(
            name="mlserver",
            title="MLServer",
            path="/v2/models/model/infer",
            batches=True,
            body=open_inference,
        ),
        Peer(name="litserve", title="LitServe", path="/predict", body=_features),
        Peer(
            name="azureml",
            title="azureml-inference-server",
            path="/score",
            batches=True,
            body=lambda rows: {"data": _nested(rows)},
        ),
        Peer(
            name="mlflow",
            title="MLflow",
            path="/invocations",
            batches=True,
            body=lambda rows: {"inputs": {"features": _nested(rows)}},
        ),
        Peer(
            name="bentoml",
            title="BentoML",
            path="/predict",
            batch_path="/batch",
            batches=True,
            body=_features,
        ),
    )
}
BINARY_PEERS: Final = {  # those that take binary tensors, as the Open Inference Protocol has them
    "pytriton": PEERS["pytriton"],
    "kserve": Peer(
        name="kserve", title="KServe V2", path="/v2/models/model/infer", body=open_inference
    ),
}
FLIGHTS: Final = Peer(
    name="fastapi-flights",
    title="FastAPI + uvicorn",
    path="/predict",
    body=lambda row: row,
    folder="fastapi_flights",
)


def _uv(*words: str) -> None:
    # Outside of the checkout: its constraints are not those of the peers.
    subprocess.run(["uv", *words], check=True, cwd=CACHE.parent)
