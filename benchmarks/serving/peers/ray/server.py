"""The model as a deployment of Ray Serve, with its settings for throughput."""

import os
import sys
import time
from pathlib import Path

os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"

import ray
from ray import serve
from starlette.requests import Request

HERE = str(Path(__file__).parents[1])
sys.path.insert(0, HERE)
from session import Classifier

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


@serve.deployment(num_replicas=workers, max_ongoing_requests=1_000)
class Deployment:
    """The model."""

    def __init__(self) -> None:
        self.classify = Classifier(model)

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        """Answer one row."""
        body = await request.json()
        return {"probabilities": self.classify([body["features"]])[0].tolist()}


if __name__ == "__main__":
    environment = {"env_vars": {"PYTHONPATH": HERE}}
    ray.init(include_dashboard=False, num_cpus=2, runtime_env=environment, logging_level="error")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Deployment.bind(), route_prefix="/")
    while True:
        time.sleep(3_600)
