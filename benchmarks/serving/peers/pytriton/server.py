"""The model behind PyTriton: NVIDIA's Triton with its Python back end and dynamic batching."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
from session import Classifier

port, model, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def function() -> Any:
    """Return the model as Triton calls it; one a worker."""
    classify = Classifier(model)

    @batch
    def infer(features: Any) -> dict[str, Any]:
        return {"probabilities": classify(features)}

    return infer


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, grpc_port=port + 1, metrics_port=port + 2
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="model",
            infer_func=[function() for _ in range(workers)],
            inputs=[Tensor(name="features", dtype=np.float32, shape=(30,))],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(2,))],
            config=ModelConfig(
                max_batch_size=128, batcher=DynamicBatcher(max_queue_delay_microseconds=0)
            ),
        )
        triton.serve()
