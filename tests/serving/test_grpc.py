"""gRPC: NVIDIA's client, unmodified, in every mode."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.grpc as client

from serving.conftest import Running

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def triton(running: Running) -> Iterator[client.InferenceServerClient]:
    """A client of the shared home."""
    with client.InferenceServerClient(f"127.0.0.1:{running.home.port}") as made:
        yield made


def key(text: str) -> dict[str, str]:
    """Return the metadata that carry a key."""
    return {"authorization": f"Bearer {text}"}


def inputs(rows: int = 1, *, delay: float = 2.0) -> list[client.InferInput]:
    """Return the inputs of some rows for the flight model."""
    values = {
        "delay": np.full((rows, 1), delay, np.float32),
        "carrier": np.array([["AA"]] * rows, np.object_),
        "seats": np.full((rows, 1), 10, np.int64),
        "name": np.array([["Ada"]] * rows, np.object_),
    }
    made = []
    for name, array in values.items():
        datatype = {"float32": "FP32", "object": "BYTES", "int64": "INT64"}[str(array.dtype)]
        one = client.InferInput(name, list(array.shape), datatype)
        one.set_data_from_numpy(array)
        made.append(one)
    return made


def test_a_row_is_answered(triton: client.InferenceServerClient, running: Running) -> None:
    """The client's plain call gives the model's answer."""
    result = triton.infer("flights", inputs(), headers=key(running.operator), request_id="7")
    assert result.as_numpy("late").tolist() == [[14.0]]
    assert result.as_numpy("echo").tolist() == [[b"AA"]]
    assert result.get_response().id == "7"
