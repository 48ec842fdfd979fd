"""LitServe with batching, as its guide to throughput recommends."""

import sys
from pathlib import Path
from typing import Any

import litserve

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Api(litserve.LitAPI):
    """The model."""

    def setup(self, device: str) -> None:
        """Load it."""
        del device
        self.classify = Classifier(model)

    def decode_request(self, request: dict[str, Any]) -> list[float]:
        """Return the row of a request."""
        return list(request["features"])

    def batch(self, inputs: list[list[float]]) -> list[list[float]]:
        """Put rows together."""
        return inputs

    def predict(self, inputs: list[list[float]]) -> Any:
        """Answer the rows."""
        return self.classify(inputs)

    def unbatch(self, output: Any) -> list[list[float]]:
        """Take the answers apart."""
        return output.tolist()

    def encode_response(self, output: list[float]) -> dict[str, list[float]]:
        """Return the answer to one request."""
        return {"probabilities": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(max_batch_size=32, batch_timeout=0.002),
        accelerator="cpu",
        workers_per_device=workers,
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=port, num_api_servers=workers, log_level="warning")
