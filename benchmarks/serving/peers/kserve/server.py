"""The model behind KServe's Python server, in its V1 protocol, the faster of the two."""

import sys
from pathlib import Path
from typing import Any

from kserve import Model, ModelServer

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Runtime(Model):
    """The model."""

    def __init__(self) -> None:
        super().__init__("model")
        self.classify = Classifier(model)
        self.ready = True

    async def predict(self, payload: Any, *_: Any, **__: Any) -> dict[str, list[list[float]]]:
        """Answer the rows of a request."""
        return {"predictions": self.classify(payload["instances"]).tolist()}


if __name__ == "__main__":
    ModelServer(
        http_port=port, workers=workers, enable_grpc=False, enable_latency_logging=False
    ).start([Runtime()])
