"""The model in MLServer's own runtime."""

import os
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier


class Runtime(MLModel):
    """The model."""

    async def load(self) -> bool:
        """Load it."""
        self.classify = Classifier(os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer the rows of a request."""
        probabilities = self.classify(NumpyCodec.decode_input(payload.inputs[0]))
        output = NumpyCodec.encode_output("probabilities", probabilities)
        return InferenceResponse(model_name=self.name, outputs=[output])
