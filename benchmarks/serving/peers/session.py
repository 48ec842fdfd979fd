"""The model as every peer loads it: ONNX Runtime, one thread, options as Servewell's workers."""

from typing import Any

import numpy as np
import onnxruntime


class Classifier:
    """Answers rows of 30 numbers with the probabilities of the two classes."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, rows: Any) -> Any:
        """Return an array of shape `(rows, 2)`."""
        features = np.asarray(rows, dtype=np.float32)
        return self._session.run(["probabilities"], {"features": features})[0]
