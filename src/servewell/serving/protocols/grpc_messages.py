"""The messages of the Open Inference Protocol V2 over gRPC, and of gRPC's health check.

They are kept in a pool of their own: a program that has loaded a client of the same protocol has
messages of the same names.

Source: open-inference-protocol, specification/protocol/open_inference_grpc.proto; Triton,
grpc_service.proto, for `uint64_param` and the repository; grpc, doc/health-checking.md.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

INFERENCE: Final = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live = 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready = 1",
    "ModelReadyRequest": "string name = 1; string version = 2",
    "ModelReadyResponse": "bool ready = 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name = 1; string version = 2; repeated string extensions = 3",
    "ModelMetadataRequest": "string name = 1; string version = 2",
    "ModelMetadataResponse": """
        string name = 1; repeated string versions = 2; string platform = 3;
        repeated ModelMetadataResponse.TensorMetadata inputs = 4;
        repeated ModelMetadataResponse.TensorMetadata outputs = 5
    """,
    "ModelMetadataResponse.TensorMetadata": """
        string name = 1; string datatype = 2; repeated int64 shape = 3
    """,
    "InferParameter": """
        oneof bool bool_param = 1; oneof int64 int64_param = 2; oneof string string_param = 3;
        oneof double double_param = 4; oneof uint64 uint64_param = 5
    """,
    "InferTensorContents": """
        repeated bool bool_contents = 1; repeated int32 int_contents = 2;
        repeated int64 int64_contents = 3; repeated uint32 uint_contents = 4;
        repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;
        repeated double fp64_contents = 7; repeated bytes bytes_contents = 8
    """,
    "ModelInferRequest": """
        string model_name = 1; string model_version = 2; string id = 3;
        map InferParameter parameters = 4;
        repeated ModelInferRequest.InferInputTensor inputs = 5;
        repeated ModelInferRequest.InferRequestedOutputTensor outputs = 6;
        repeated bytes raw_input_contents = 7
    """,
    "ModelInferRequest.InferInputTensor": """
        string name = 1; string datatype = 2; repeated int64 shape = 3;
        map InferParameter parameters = 4; InferTensorContents contents = 5
    """,
    "ModelInferRequest.InferRequestedOutputTensor": """
        string name = 1; map InferParameter parameters = 2
    """,
    "ModelInferResponse": """
        string model_name = 1; string model_version = 2; string id = 3;
        map InferParameter parameters = 4;
        repeated ModelInferResponse.InferOutputTensor outputs = 5;
        repeated bytes raw_output_contents = 6
    """,
    "ModelInferResponse.InferOutputTensor": """
        string name = 1; string datatype = 2; repeated int64 shape = 3;
        map InferParameter parameters = 4; InferTensorContents contents = 5
    """,
    "ModelStreamInferResponse": """
        string error_message = 1; ModelInferResponse infer_response = 2
    """,
    "ModelRepositoryParameter": """
        oneof bool bool_param = 1; oneof int64 int64_param = 2; oneof string string_param = 3;
        oneof bytes bytes_param = 4
    """,
    "RepositoryIndexRequest": "string repository_name = 1; bool ready = 2",
    "RepositoryIndexResponse": "repeated RepositoryIndexResponse.ModelIndex models = 1",
    "RepositoryIndexResponse.ModelIndex": """
        string name = 1; string version = 2; string state = 3; string reason = 4
    """,
    "RepositoryModelLoadRequest": """
        string repository_name = 1; string model_name = 2;
        map ModelRepositoryParameter parameters = 3
    """,
    "RepositoryModelLoadResponse": "",
    "RepositoryModelUnloadRequest": """
        string repository_name = 1; string model_name = 2;
        map ModelRepositoryParameter parameters = 3
    """,
    "RepositoryModelUnloadResponse": "",
}
HEALTH: Final = {
    "HealthCheckRequest": "string service = 1",
    # `status` is an enum, which travels as a number: 0 unknown, 1 serving, 2 not serving.
    "HealthCheckResponse": "int32 status = 1",
}
SERVING: Final = 1
NOT_SERVING: Final = 2

ONEOF: Final = "parameter_choice"
SCALARS: Final = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}


class Parameter(Protocol):
    """A value of `parameters`."""

    def WhichOneof(self, oneof_group: str) -> str | None:  # noqa: N802  (protobuf's name)
        """Return the name of the field that is set."""
        ...


class Contents(Protocol):
    """The elements of an input, typed."""

    bool_contents: Sequence[bool]
    int_contents: Sequence[int]
    int64_contents: Sequence[int]
    uint_contents: Sequence[int]
    uint64_contents: Sequence[int]
    fp32_contents: Sequence[float]
    fp64_contents: Sequence[float]
    bytes_contents: Sequence[bytes]


class InputTensor(Protocol):
    """One input of a request."""

    name: str
    datatype: str
    shape: Sequence[int]
    parameters: Mapping[str, Parameter]
    contents: Contents

    def HasField(self, field_name: str) -> bool:  # noqa: N802  (protobuf's name)
        """Whether a field is set."""
        ...


class RequestedOutput(Protocol):
    """One output that is asked for."""

    name: str
    parameters: Mapping[str, Parameter]


class InferRequest(Protocol):
    """A request for predictions."""

    model_name: str
    model_version: str
    id: str
    parameters: Mapping[str, Parameter]
    inputs: Sequence[InputTensor]
    outputs: Sequence[RequestedOutput]
    raw_input_contents: Sequence[bytes]


def parameter_values(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    """Return what parameters hold; one that holds nothing is left out."""
    set_fields = ((name, one, one.WhichOneof(ONEOF)) for name, one in parameters.items())
    return {name: getattr(one, which) for name, one, which in set_fields if which is not None}


def message_type(full_name: str) -> type[Message]:
    """Return the class of a message of either package."""
    return GetMessageClass(_POOL.FindMessageTypeByName(full_name))


def _file(package: str, messages: Mapping[str, str]) -> FileDescriptorProto:
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    made: dict[str, DescriptorProto] = {}
    for name, fields in messages.items():
        outer, _, own = name.rpartition(".")
        places = made[outer].nested_type if outer else file.message_type
        message = made[name] = places.add(name=own)
        for field in fields.split(";"):
            if words := field.split():
                _add_field(message, f".{package}.{name}", package, words)
    return file


def _add_field(message: DescriptorProto, own_type: str, package: str, words: list[str]) -> None:
    """Add a field as the language of protobuf says it; of a map, the keys are texts."""
    *labels, kind, name, _, number = words
    field = message.field.add(name=name, number=int(number))
    field.label = FieldDescriptorProto.LABEL_OPTIONAL
    field.type = SCALARS.get(kind, FieldDescriptorProto.TYPE_MESSAGE)
    if kind not in SCALARS:
        field.type_name = f".{package}.{kind}"
    if labels == ["repeated"]:
        field.label = FieldDescriptorProto.LABEL_REPEATED
    elif labels == ["oneof"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name=ONEOF)
        field.oneof_index = 0
    elif labels == ["map"]:
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, own_type, package, ["string", "key", "=", "1"])
        _add_field(entry, own_type, package, [kind, "value", "=", "2"])
        field.label = FieldDescriptorProto.LABEL_REPEATED
        field.type_name = f"{own_type}.{entry.name}"


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for package, messages in (("inference", INFERENCE), ("grpc.health.v1", HEALTH)):
        pool.AddSerializedFile(_file(package, messages).SerializeToString())
    return pool


_POOL: Final = _pool()
