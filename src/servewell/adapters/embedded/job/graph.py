"""ONNX files: what they must not hold, what they take and give, and whether they run."""

import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.held_out import column_names
from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.rows import read_rows
from servewell.core.catalog.inferred_signature import ColumnFacts, apply_rules
from servewell.core.catalog.model import Equivalence, Parameter
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.ports.trainer import ConversionFailedError, Job

TRIAL_BYTES_MAX: Final = 4 << 30  # of address space, beyond what the process already has
DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
READS_FILES: Final = frozenset({"EPContext"})  # operators that name a file to load
DATATYPES: Final = {
    "tensor(bool)": Datatype.BOOL,
    "tensor(int8)": Datatype.INT8,
    "tensor(int16)": Datatype.INT16,
    "tensor(int32)": Datatype.INT32,
    "tensor(int64)": Datatype.INT64,
    "tensor(uint8)": Datatype.UINT8,
    "tensor(uint16)": Datatype.UINT16,
    "tensor(uint32)": Datatype.UINT32,
    "tensor(uint64)": Datatype.UINT64,
    "tensor(float16)": Datatype.FP16,
    "tensor(float)": Datatype.FP32,
    "tensor(double)": Datatype.FP64,
    "tensor(string)": Datatype.BYTES,
}
CLASS_LISTS: Final = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")
NUMPY_TYPES: Final = {
    Datatype.BOOL: "bool",
    Datatype.FP16: "float16",
    Datatype.FP32: "float32",
    Datatype.FP64: "float64",
    **{one: one.value.lower() for one in Datatype if one.is_integer},
}
TRIAL_ROWS: Final = 2
Tensors = Mapping[str, NDArray[Any]]


def package_onnx(
    model: onnx.ModelProto,
    job: Job,
    files: RunFiles,
    *,
    say: Callable[[str], None],
    metrics: dict[str, float],
) -> Result:
    """Check an ONNX model, try it, and return what it takes and gives. Nothing is converted.

    Where the workload names data whose columns are the model's inputs, the signature says what
    was seen of them.

    Raises: ConversionFailedError, InputRuleError, HeldOutRowsError, OSError.
    """
    say("checking the ONNX model")
    check(model)
    data = model.SerializeToString(deterministic=True)
    with _little_memory():
        session = _opened(data)
        declared = tuple(_input(one) for one in session.get_inputs())
        inputs, example = _with_facts(declared, job)
        inputs = apply_rules(inputs, job.inputs, job.slices)
        say("trying the ONNX model")
        outputs = described_outputs(session, trial_rows(inputs), classes=_classes(model))
    files.artifact.write_bytes(data)
    return Result(
        signature=Signature(inputs=inputs, outputs=outputs),
        equivalence=Equivalence(rows=0, largest_difference=0.0, tolerance=job.tolerance),
        metrics=metrics,
        example=example,
    )


def check(model: onnx.ModelProto) -> None:
    """Refuse a model that is not valid, is not whole, or names files or foreign operators.

    Raises: ConversionFailedError.
    """
    for message in _messages(model):
        if isinstance(message, onnx.TensorProto) and (
            message.data_location == onnx.TensorProto.EXTERNAL or message.external_data
        ):
            raise _refused("it keeps weights in other files", "save it as one file")
        if isinstance(message, onnx.NodeProto):
            _check_node(message)
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise _refused(" ".join(str(error).split())[:400], "export it again") from error


def _check_node(node: onnx.NodeProto) -> None:
    if node.domain not in DOMAINS:
        raise _refused(
            f"its operator `{node.domain}.{node.op_type}` needs a library of its own",
            "export it with standard operators",
        )
    if node.op_type in READS_FILES:
        raise _refused(f"its operator `{node.op_type}` loads a file", "export it as one file")


def _messages(message: Any) -> Iterator[Any]:  # noqa: ANN401  # protobuf carries no types
    """Yield a message and all within it, graphs inside attributes included."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(inner)


def described_outputs(
    session: onnxruntime.InferenceSession, tensors: Tensors, *, classes: tuple[str, ...] | None
) -> tuple[Output, ...]:
    """Run a model once, and return what it gives.

    Raises: ConversionFailedError where it fails, or does not give one answer a row.
    """
    try:
        answers = session.run(None, dict(tensors))
    except Exception as error:
        raise _refused(
            f"it fails on a plain row: {' '.join(str(error).split())[:400]}", "see why it does"
        ) from error
    rows = len(next(iter(tensors.values())))
    return tuple(
        _output(declared, answer, rows=rows, classes=classes)
        for declared, answer in zip(session.get_outputs(), answers, strict=True)
    )


def _output(
    declared: onnxruntime.NodeArg, answer: object, *, rows: int, classes: tuple[str, ...] | None
) -> Output:
    if declared.type not in DATATYPES or not isinstance(answer, np.ndarray):
        raise _refused(
            f"its output `{declared.name}` is {declared.type}, which is no tensor",
            "convert it without ZipMap (`options={'zipmap': False}` in skl2onnx)",
        )
    if answer.ndim == 0 or answer.shape[0] != rows:
        raise _refused(
            f"its output `{declared.name}` has the shape {answer.shape} for {rows} rows",
            "export it so that the first dimension of every output is the row",
        )
    of_classes = declared.name == "probabilities" and answer.shape[1:] == (len(classes or ()),)
    return Output(
        name=declared.name,
        datatype=DATATYPES[declared.type],
        row_shape=tuple(answer.shape[1:]),
        classes=classes if of_classes else None,
    )


def _classes(model: onnx.ModelProto) -> tuple[str, ...] | None:
    """Return the classes of a classifier, where just one operator of the model lists them."""
    listed = [
        tuple(onnx.helper.get_attribute_value(one))
        for node in model.graph.node
        for one in node.attribute
        if one.name in CLASS_LISTS and (one.strings or one.ints)
    ]
    if len(listed) != 1:
        return None
    return tuple(one.decode() if isinstance(one, bytes) else str(one) for one in listed[0])


def _input(declared: onnxruntime.NodeArg) -> Input:
    if declared.type not in DATATYPES:
        raise _refused(f"its input `{declared.name}` is {declared.type}", "use tensors as inputs")
    shape = list(declared.shape)
    if not shape or isinstance(shape[0], int):
        raise _refused(
            f"its input `{declared.name}` has the fixed shape {shape}",
            "export it with an open first dimension, so that it takes any number of rows",
        )
    return Input(
        name=declared.name,
        datatype=DATATYPES[declared.type],
        row_shape=tuple(one if isinstance(one, int) else -1 for one in shape[1:]),
    )


def _with_facts(
    declared: tuple[Input, ...], job: Job
) -> tuple[tuple[Input, ...], dict[str, Parameter] | None]:
    """Return the inputs with what the data says of the columns that have their names."""
    if job.data is None:
        return declared, None
    columns = set(column_names(job.data))
    names = tuple(one.name for one in declared)
    if not columns.issuperset(names):
        return declared, None
    rows = read_rows(job.data, names, held_out=job.held_out, rules=job.inputs)
    inputs = tuple(_seen(one, facts) for one, facts in zip(declared, rows.facts, strict=True))
    personal = {name for name, rule in job.inputs.items() if rule.personal}
    example = {name: one for name, one in rows.example.items() if name not in personal}
    return inputs, example


def _seen(declared: Input, facts: ColumnFacts) -> Input:
    can_miss = declared.datatype.is_float or declared.datatype is Datatype.BYTES
    return replace(
        declared,
        nullable=can_miss and facts.missing > 0,
        categories=facts.distinct,
        minimum_seen=facts.minimum,
        maximum_seen=facts.maximum,
        example=facts.example,
    )


def trial_rows(inputs: tuple[Input, ...]) -> dict[str, NDArray[Any]]:
    """Return plain rows to try a model on: examples where there are any, else what may be sent."""
    return {one.name: _plain_tensor(one) for one in inputs}


def _plain_tensor(one: Input) -> NDArray[Any]:
    shape = (TRIAL_ROWS, *(max(dimension, 1) for dimension in one.row_shape))
    if one.datatype is Datatype.BYTES:
        text = one.example or (one.allowed[0] if one.allowed else "")
        return np.full(shape, text, dtype=object)
    value = one.example if one.example is not None else max(0, one.minimum or 0)
    return np.full(shape, value, dtype=NUMPY_TYPES[one.datatype])


def _opened(data: bytes) -> onnxruntime.InferenceSession:
    try:
        return open_session(data)
    except Exception as error:
        raise _refused(" ".join(str(error).split())[:400], "export it again") from error


@contextmanager
def _little_memory() -> Iterator[None]:
    """Bound the memory that a stranger's model may take while it is tried."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (taken + TRIAL_BYTES_MAX, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _refused(why: str, fix: str) -> ConversionFailedError:
    return ConversionFailedError("The ONNX model cannot be served.", why=why, fix=fix)
