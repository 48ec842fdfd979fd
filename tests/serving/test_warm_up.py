"""A model runs before anybody waits for it, and one that cannot is not served."""

import pytest
from onnx import TensorProto, helper

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.runtimes.model import ModelUnusableError
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.serving.warm_up import SIZES, warm_up
from serving.home import FLIGHT, Home, flight_model, onnx_bytes, request

EXACTLY_ONE = Signature(
    inputs=(Input(name="x", datatype=Datatype.FP32),),
    outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(1,)),),
)


def failing(signature: Signature = EXACTLY_ONE) -> bytes:
    """Return a model that fails on every row: it looks up what its table does not have."""
    nodes = [
        helper.make_node("Gather", ["table", "far"], ["found"]),
        helper.make_node("Mul", ["x", "found"], ["y"]),
    ]
    constants = [
        helper.make_tensor("table", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("nine", TensorProto.INT64, [1], [9]),
    ]
    far = [
        helper.make_node("Mul", ["x", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["index"], to=TensorProto.INT64),
        helper.make_node("Add", ["index", "nine"], ["far"]),
    ]
    return onnx_bytes(signature, [*far, *nodes], constants)


def test_every_size_is_timed() -> None:
    """The times of the calls, without the very first one, are what the lane begins with."""
    latencies = warm_up(OnnxModel(flight_model(2.0), FLIGHT), FLIGHT)
    assert tuple(rows for rows, _ in latencies) == SIZES[1:]
    assert all(cost_ns > 0 for _, cost_ns in latencies)


def test_a_model_that_fails_on_its_example_is_unusable() -> None:
    """It would fail on the first request as well."""
    with pytest.raises(ModelUnusableError, match="cannot be served"):
        warm_up(OnnxModel(failing(), EXACTLY_ONE), EXACTLY_ONE)


def test_a_model_with_an_open_dimension_gets_no_call() -> None:
    """No row is known that it takes."""
    signature = Signature(
        inputs=(Input(name="x", datatype=Datatype.FP32, row_shape=(-1,)),),
        outputs=(Output(name="y", datatype=Datatype.FP32, row_shape=(-1,)),),
    )
    model = OnnxModel(onnx_bytes(signature, [helper.make_node("Neg", ["x"], ["y"])], []), signature)
    assert warm_up(model, signature) == ()


@pytest.mark.enable_socket
def test_traffic_stays_where_a_new_version_fails(home: Home) -> None:
    """The version before goes on answering, and the worker says what is wrong."""
    key, grant = home.key()
    good = home.deployment("blue", flight_model(2.0))
    home.publish(good, grants=(grant,), policy=EndpointPolicy())
    with home.process():
        home.wait_for_snapshot()
        home.publish(home.deployment("green", failing(), signature=EXACTLY_ONE, version=2))
        report = home.wait_for_snapshot(fault=True)
        assert "failed on the example row" in report.fault
        reply = home.send("POST", "/v2/models/flights/infer", key=key, body=request())
        assert (reply.status, reply.headers["servewell-deployment"]) == (200, "blue")
