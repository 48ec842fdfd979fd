"""gRPC: NVIDIA's client, unmodified, in every mode, and gRPC's health check."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import numpy as np
import pytest
import tritonclient.grpc as client
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import Default
from onnx import helper
from tritonclient.grpc import aio, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.catalog.key import Role
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.serving.protocols.grpc_messages import HEALTH, INFERENCE, message_type
from serving.conftest import Running
from serving.home import FLIGHT, Home, onnx_bytes, request

pytestmark = pytest.mark.enable_socket

TYPES: Final = {
    "float32": "FP32", "float16": "FP16", "float64": "FP64", "int8": "INT8", "int64": "INT64",
    "object": "BYTES", "bool": "BOOL",
}  # fmt: skip
AT_ONCE = 40  # calls that wait; more may be refused where a busy machine is slower than promised


@pytest.fixture
def triton(running: Running) -> Iterator[client.InferenceServerClient]:
    """A client of the shared home."""
    with client.InferenceServerClient(f"127.0.0.1:{running.home.port}") as made:
        yield made


def key(text: str) -> dict[str, str]:
    """Return the metadata that carry a key."""
    return {"authorization": f"Bearer {text}"}


def tensor(name: str, array: np.ndarray[Any, Any]) -> client.InferInput:
    """Return an input with these elements."""
    one = client.InferInput(name, list(array.shape), TYPES[str(array.dtype)])
    one.set_data_from_numpy(array)
    return one


def inputs(rows: int = 1, *, delay: float = 2.0, seats: int = 10) -> list[client.InferInput]:
    """Return some equal rows for the flight model."""
    return [
        tensor("delay", np.full((rows, 1), delay, np.float32)),
        tensor("carrier", np.full((rows, 1), "AA", np.object_)),
        tensor("seats", np.full((rows, 1), seats, np.int64)),
        tensor("name", np.full((rows, 1), "Ada", np.object_)),
    ]


def typed(rows: int = 1) -> service_pb2.ModelInferRequest:
    """Return a request of the flight model whose elements stand in `contents`."""
    asked = service_pb2.ModelInferRequest(model_name="flights", id="typed")
    for one in FLIGHT.inputs:
        asked.inputs.add(name=one.name, datatype=one.datatype.value, shape=[rows, 1])
    asked.inputs[0].contents.fp32_contents.extend([2.0] * rows)
    asked.inputs[1].contents.bytes_contents.extend([b"UA"] * rows)
    asked.inputs[2].contents.int64_contents.extend([7] * rows)
    asked.inputs[3].contents.bytes_contents.extend([b"Ada"] * rows)
    return asked


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Return status and message of a call that is refused."""
    with pytest.raises(InferenceServerException) as caught:
        call()
    return str(caught.value.status()).removeprefix("StatusCode."), str(caught.value.message())


def stub(home: Home) -> service_pb2_grpc.GRPCInferenceServiceStub:
    """Return what calls the methods with messages."""
    return service_pb2_grpc.GRPCInferenceServiceStub(
        grpc.insecure_channel(f"127.0.0.1:{home.port}")
    )


def authorized(text: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a stub that carry a key."""
    return tuple(key(text).items())


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, and the keys that it may use: without a word, the operator's."""

    triton: client.InferenceServerClient
    home: Running

    def infer(
        self,
        said: str | None = None,
        *,
        name: str = "flights",
        version: str = "",
        sent: list[client.InferInput] | None = None,
    ) -> object:
        """Ask for predictions."""
        headers = key(self.home.operator if said is None else said)
        return self.triton.infer(name, sent or inputs(), version, headers=headers)

    def page(self, method: str, *arguments: str) -> object:
        """Ask for something else."""
        call = getattr(self.triton, method)
        return call(*arguments, headers=key(self.home.operator))


@pytest.mark.parametrize("name", INFERENCE)
def test_messages_are_those_of_the_clients(name: str) -> None:
    """Every field has the number, type and label that it has in NVIDIA's client."""

    def fields(one: Descriptor) -> list[tuple[object, ...]]:
        return sorted(
            (
                each.number,
                each.name,
                each.type,
                each.is_repeated,
                each.message_type.full_name if each.message_type else "",
                each.containing_oneof.name if each.containing_oneof else "",
            )
            for each in one.fields
        )

    full = f"inference.{name}"
    assert fields(message_type(full).DESCRIPTOR) == fields(Default().FindMessageTypeByName(full))
    assert service_pb2.DESCRIPTOR.package == "inference"


def test_messages_keep_to_themselves() -> None:
    """They are in no pool that a client's own messages of these names are in."""
    for name in HEALTH:
        with pytest.raises(KeyError):
            Default().FindMessageTypeByName(f"grpc.health.v1.{name}")


def test_a_row_is_answered(triton: client.InferenceServerClient, running: Running) -> None:
    """The plain call gives the answer of the model, and says who gave it."""
    result = triton.infer("flights", inputs(), headers=key(running.operator), request_id="7")
    answer = result.get_response()
    assert result.as_numpy("late").tolist() == [[14.0]]
    assert result.as_numpy("echo").tolist() == [[b"AA"]]
    assert (answer.id, answer.model_name, answer.model_version) == ("7", "flights", "1")
    assert answer.parameters["deployment"].string_param == "blue"
    assert len(answer.parameters["prediction_id"].string_param) == 32


def test_a_key_may_come_as_api_key(triton: client.InferenceServerClient, running: Running) -> None:
    """The header `x-api-key` carries a key, too."""
    result = triton.infer("flights", inputs(), headers={"x-api-key": running.invoker})
    assert result.as_numpy("late").tolist() == [[14.0]]


def test_a_version_is_answered_by_its_deployment(
    triton: client.InferenceServerClient, running: Running
) -> None:
    """A call that names a version, or pins a deployment, goes where it says."""
    result = triton.infer("flights", inputs(), model_version="2", headers=key(running.operator))
    assert result.as_numpy("late").tolist() == [[16.0]]
    pinned = key(running.operator) | {"servewell-deployment": "green"}
    assert triton.infer("flights", inputs(), headers=pinned).get_response().model_version == "2"


def test_outputs_can_be_chosen(triton: client.InferenceServerClient, running: Running) -> None:
    """Only what is asked for is answered."""
    wanted = [client.InferRequestedOutput("echo")]
    result = triton.infer("flights", inputs(), outputs=wanted, headers=key(running.operator))
    assert [one.name for one in result.get_response().outputs] == ["echo"]
    assert result.as_numpy("late") is None


def test_outputs_can_be_classified(triton: client.InferenceServerClient, running: Running) -> None:
    """The classification extension gives value and index."""
    wanted = [client.InferRequestedOutput("late", class_count=1)]
    result = triton.infer("flights", inputs(), outputs=wanted, headers=key(running.operator))
    assert result.as_numpy("late").tolist() == [[b"14.000000:0"]]


def test_elements_may_be_typed(running: Running) -> None:
    """Elements in `contents` are read as those in `raw_input_contents`."""
    answer = stub(running.home).ModelInfer(typed(2), metadata=authorized(running.operator))
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [11.0, 11.0]
    assert answer.raw_output_contents[1] == b"\x02\x00\x00\x00UA" * 2
    assert answer.id == "typed"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_messages_may_be_compressed(
    triton: client.InferenceServerClient, running: Running, algorithm: str
) -> None:
    """Large messages are read and written compressed."""
    result = triton.infer(
        "flights", inputs(2_000), headers=key(running.operator), compression_algorithm=algorithm
    )
    assert result.as_numpy("late").tolist() == [[14.0]] * 2_000


def test_calls_can_be_made_without_waiting(
    triton: client.InferenceServerClient, running: Running
) -> None:
    """Many calls at a time on one connection each get their own rows."""
    answers: queue.Queue[tuple[int, Any, Any]] = queue.Queue()

    def take() -> None:
        number, result, error = answers.get(timeout=20)
        assert error is None
        assert result.as_numpy("late").tolist() == [[number * 2.0 + 10.0]] * (1 + number % 3)

    for number in range(200):
        if number >= AT_ONCE:
            take()
        triton.async_infer(
            "flights",
            inputs(1 + number % 3, delay=float(number)),
            lambda result, error, number=number: answers.put((number, result, error)),
            headers=key(running.operator),
        )
    for _ in range(AT_ONCE):
        take()


def test_a_stream_is_answered_in_order(
    triton: client.InferenceServerClient, running: Running
) -> None:
    """Each message of a stream is answered in its turn; a fault is told in its place."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    triton.start_stream(
        lambda result, error: answers.put((result, error)), headers=key(running.operator)
    )
    for number in range(50):
        seats = -1 if number == 20 else number
        triton.async_stream_infer("flights", inputs(seats=seats), request_id=str(number))
    for number in range(50):
        result, error = answers.get(timeout=20)
        if number == 20:
            assert "SW-313" in str(error)
            assert "`seats`, row 0" in str(error)
        else:
            assert error is None
            assert result.get_response().id == str(number)
            assert result.as_numpy("late").tolist() == [[4.0 + number]]
    triton.stop_stream()
    assert answers.empty()


def test_a_stream_may_be_compressed(triton: client.InferenceServerClient, running: Running) -> None:
    """The messages of a stream are compressed as the caller's are."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    triton.start_stream(
        lambda result, error: answers.put((result, error)),
        headers=key(running.operator),
        compression_algorithm="gzip",
    )
    triton.async_stream_infer("flights", inputs(1_000))
    result, error = answers.get(timeout=20)
    triton.stop_stream()
    assert error is None
    assert result.as_numpy("late").tolist() == [[14.0]] * 1_000


def test_a_stream_without_a_key_is_refused(triton: client.InferenceServerClient) -> None:
    """The call as a whole is refused when it begins."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    triton.start_stream(lambda result, error: answers.put((result, error)))
    _, error = answers.get(timeout=20)
    assert str(error.status()) == "StatusCode.UNAUTHENTICATED"
    triton.stop_stream(cancel_requests=True)


def test_pages_are_answered(triton: client.InferenceServerClient, running: Running) -> None:
    """Liveness needs no key; readiness, metadata and the rest say what they say over HTTP."""
    headers = key(running.operator)
    assert triton.is_server_live()
    assert triton.is_server_ready(headers=headers)
    assert triton.is_model_ready("flights", headers=headers)
    assert triton.is_model_ready("flights", "2", headers=headers)
    server = triton.get_server_metadata(headers=headers)
    assert server.name == "servewell"
    assert "classification" in server.extensions
    told = triton.get_model_metadata("flights", headers=headers, as_json=True)
    path = "/v2/models/flights"
    over_http = running.home.send("GET", path, key=running.operator).json
    assert [one["name"] for one in told["inputs"]] == [one["name"] for one in over_http["inputs"]]
    assert told["inputs"][0] == {"name": "delay", "datatype": "FP32", "shape": ["-1", "1"]}
    assert told["versions"] == over_http["versions"]


def test_the_repository_is_for_administrators(home: Home) -> None:
    """An administrator reads the index; an operator may not."""
    administrator, granted = home.key(Role.ADMINISTRATOR)
    operator, operating = home.key()
    home.publish(home.deployment("blue", SMALL_MODEL, signature=SMALL), grants=(granted, operating))
    with home.process():
        home.wait_for_snapshot()
        with client.InferenceServerClient(f"127.0.0.1:{home.port}") as triton:
            index = triton.get_model_repository_index(headers=key(administrator))
            status, _ = refusal(lambda: triton.get_model_repository_index(headers=key(operator)))
    assert [(one.name, one.version, one.state) for one in index.models] == [
        ("flights", "1", "READY")
    ]
    assert status == "PERMISSION_DENIED"


REFUSED: Final[dict[str, tuple[Callable[[Caller], object], str]]] = {
    "no key": (lambda one: one.infer(""), "UNAUTHENTICATED"),
    "wrong key": (lambda one: one.infer("x"), "UNAUTHENTICATED"),
    "expired": (lambda one: one.infer(one.home.expired), "UNAUTHENTICATED"),
    "right": (lambda one: one.infer(one.home.reader), "PERMISSION_DENIED"),
    "stranger": (lambda one: one.infer(one.home.stranger), "PERMISSION_DENIED"),
    "endpoint": (lambda one: one.infer(name="none"), "NOT_FOUND"),
    "version": (lambda one: one.infer(version="9"), "NOT_FOUND"),
    "missing": (lambda one: one.infer(sent=inputs()[1:]), "INVALID_ARGUMENT"),
    "rows": (lambda one: one.infer(sent=inputs(5_001)), "INVALID_ARGUMENT"),
    "size": (lambda one: one.infer(sent=inputs(20_000)), "RESOURCE_EXHAUSTED"),
    "poison": (lambda one: one.infer(sent=inputs(seats=1_000)), "INTERNAL"),
    "method": (lambda one: one.page("get_model_config", "flights"), "UNIMPLEMENTED"),
    "index": (lambda one: one.page("get_model_repository_index"), "PERMISSION_DENIED"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_have_their_status(
    triton: client.InferenceServerClient, running: Running, case: str
) -> None:
    """Each refusal has the status that gRPC has for it, and one line that says what to do."""
    call, status = REFUSED[case]
    found, message = refusal(lambda: call(Caller(triton, running)))
    assert found == status
    assert " Because: " in message
    assert " Next: " in message


def test_a_refusal_carries_its_code(running: Running) -> None:
    """The trailers say the code, and what HTTP says beside its status."""
    with pytest.raises(grpc.RpcError) as caught:
        stub(running.home).ModelInfer(typed())
    trailers = dict(caught.value.trailing_metadata())
    assert trailers["servewell-code"] == "SW-306"
    assert trailers["www-authenticate"].startswith("Bearer")


def test_faults_are_those_of_json(triton: client.InferenceServerClient, running: Running) -> None:
    """What is wrong with a row is told in the same words as over HTTP."""
    wrong = inputs(delay=2_000.0, seats=-5)
    _, message = refusal(lambda: triton.infer("flights", wrong, headers=key(running.operator)))
    over_http = running.infer(request(delay=[2_000.0], seats=[-5])).json["error"]
    assert message == over_http


def test_a_deadline_is_kept(triton: client.InferenceServerClient, running: Running) -> None:
    """A call whose time is over before it is answered is given up."""
    status, _ = refusal(
        lambda: triton.infer(
            "flights", inputs(), client_timeout=0.000_001, headers=key(running.operator)
        )
    )
    assert status == "DEADLINE_EXCEEDED"


def test_asyncio_is_served(running: Running) -> None:
    """The client for asyncio passes: one call, many at a time, a stream, a refusal."""

    async def calls() -> None:
        async with aio.InferenceServerClient(f"127.0.0.1:{running.home.port}") as triton:
            headers = key(running.operator)
            assert await triton.is_server_live()
            assert await triton.is_model_ready("flights", headers=headers)

            async def one(number: int) -> None:
                result = await triton.infer(
                    "flights", inputs(2, delay=float(number)), headers=headers
                )
                assert result.as_numpy("late").tolist() == [[number * 2.0 + 10.0]] * 2

            await asyncio.gather(*(one(number) for number in range(300)))

            async def asked() -> AsyncIterator[dict[str, object]]:
                for number in range(20):
                    yield {"model_name": "flights", "inputs": inputs(seats=number)}

            found = [
                result.as_numpy("late").item()
                async for result, error in triton.stream_infer(asked(), headers=headers)
                if error is None
            ]
            assert found == [4.0 + number for number in range(20)]
            with pytest.raises(InferenceServerException):
                await triton.infer("flights", inputs())

    asyncio.run(calls())


def test_health_is_told(running: Running) -> None:
    """The health check of gRPC answers: of all without a key, of an endpoint with one."""
    channel = grpc.insecure_channel(f"127.0.0.1:{running.home.port}")

    def check(service: str, metadata: tuple[tuple[str, str], ...] = ()) -> object:
        asked = message_type("grpc.health.v1.HealthCheckRequest")
        told = message_type("grpc.health.v1.HealthCheckResponse")
        call = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=asked.SerializeToString,
            response_deserializer=told.FromString,
        )
        return call(asked(service=service), metadata=metadata).status

    assert check("") == 1
    assert check("inference.GRPCInferenceService") == 1
    assert check("flights", authorized(running.reader)) == 1
    for metadata, status in (
        ((), grpc.StatusCode.UNAUTHENTICATED),
        (authorized(running.reader), grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            check("nothing", metadata)
        assert caught.value.code() is status
    channel.close()


SMALL = Signature(
    inputs=(
        Input(name="half", datatype=Datatype.FP16, row_shape=(2,), maximum=9.0),
        Input(name="flag", datatype=Datatype.BOOL),
        Input(name="tiny", datatype=Datatype.INT8),
        Input(name="double", datatype=Datatype.FP64),
        Input(name="wide", datatype=Datatype.FP32, row_shape=(-1,)),
    ),
    outputs=(
        Output(name="half_out", datatype=Datatype.FP16, row_shape=(2,)),
        Output(name="flag_out", datatype=Datatype.BOOL, row_shape=(1,)),
        Output(name="tiny_out", datatype=Datatype.INT8, row_shape=(1,)),
        Output(name="double_out", datatype=Datatype.FP64, row_shape=(1,)),
        Output(name="wide_out", datatype=Datatype.FP32, row_shape=(-1,)),
    ),
)
SMALL_MODEL = onnx_bytes(
    SMALL,
    [helper.make_node("Identity", [one.name], [f"{one.name}_out"]) for one in SMALL.inputs],
    [],
)


@pytest.fixture
def small(home: Home) -> Iterator[tuple[Home, str]]:
    """A worker with a model that gives back inputs of several types; bodies up to 16 MB."""
    operator, granted = home.key()
    home.publish(
        home.deployment("blue", SMALL_MODEL, signature=SMALL),
        grants=(granted,),
        policy=EndpointPolicy(body_bytes_max=16 << 20),
    )
    with home.process():
        home.wait_for_snapshot()
        yield home, operator


def test_all_types_come_and_go(small: tuple[Home, str]) -> None:
    """FP16, BOOL, INT8, FP64 and open shapes arrive as sent, and 4 MB come back whole."""
    home, operator = small
    sent = {
        "half": np.array([[0.5, 1.5]], np.float16),
        "flag": np.array([[True]]),
        "tiny": np.array([[-8]], np.int8),
        "double": np.array([[1e300]]),
        "wide": np.arange(1_000_000, dtype=np.float32).reshape(1, -1),
    }
    with client.InferenceServerClient(f"127.0.0.1:{home.port}") as triton:
        made = [tensor(name, array) for name, array in sent.items()]
        result = triton.infer("flights", made, headers=key(operator))
        for name, array in sent.items():
            found = result.as_numpy(f"{name}_out")
            assert found.dtype == array.dtype
            assert np.array_equal(found, array)
        made[0] = tensor("half", np.array([[0.5, 9.5]], np.float16))
        status, message = refusal(lambda: triton.infer("flights", made, headers=key(operator)))
    assert status == "INVALID_ARGUMENT"
    assert "Input `half`, row 0" in message


def test_narrow_integers_are_not_wrapped(small: tuple[Home, str]) -> None:
    """A typed 200 for INT8 is refused, not taken as -56."""
    home, operator = small
    asked = service_pb2.ModelInferRequest(model_name="flights")
    asked.inputs.add(name="tiny", datatype="INT8", shape=[1, 1]).contents.int_contents.append(200)
    with pytest.raises(grpc.RpcError) as caught:
        stub(home).ModelInfer(asked, metadata=authorized(operator))
    assert "Input `tiny`, row 0: found `200`" in caught.value.details()
