"""The model behind KServe's Python server: V1, the faster with JSON, and V2 for binary tensors."""

import logging
import sys
from pathlib import Path
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Runtime(Model):
    """The model."""

    def __init__(self) -> None:
        super().__init__("model")
        self.classify = Classifier(model)
        self.ready = True

    async def predict(self, payload: Any, *_: Any, **__: Any) -> Any:
        """Answer the rows of a request."""
        logging.getLogger("uvicorn.access").disabled = True  # it has no setting that does
        if isinstance(payload, InferRequest):
            return self.answer(payload)
        return {"predictions": self.classify(payload["instances"]).tolist()}

    def answer(self, request: InferRequest) -> InferResponse:
        """Answer a request of V2 in the form that it asks for."""
        found = self.classify(request.inputs[0].as_numpy())
        output = InferOutput(name="probabilities", shape=list(found.shape), datatype="FP32")
        output.set_data_from_numpy(found, binary_data=bool(request.request_outputs))
        return InferResponse(
            response_id=request.id or generate_uuid(),
            model_name="model",
            infer_outputs=[output],
            requested_outputs=request.request_outputs,
        )


if __name__ == "__main__":
    ModelServer(
        http_port=port, workers=workers, enable_grpc=False, enable_latency_logging=False
    ).start([Runtime()])
