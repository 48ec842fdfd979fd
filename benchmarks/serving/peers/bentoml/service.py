"""BentoML with an `async` endpoint, the fastest of its three forms for a quick model."""

import os
import sys
from pathlib import Path

import bentoml

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
class Model:
    """The model."""

    def __init__(self) -> None:
        self.classify = Classifier(os.environ["MODEL"])

    @bentoml.api
    async def predict(self, features: list[float]) -> dict[str, list[float]]:
        """Answer one row."""
        return {"probabilities": self.classify([features])[0].tolist()}

    @bentoml.api
    async def batch(self, features: list[list[float]]) -> dict[str, list[list[float]]]:
        """Answer several rows."""
        return {"probabilities": self.classify(features).tolist()}
