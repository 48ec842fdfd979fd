"""Turns a trained model into ONNX with one input per column."""

import copy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from typing import Any, Final

import onnx
from onnx import TensorProto, helper
from onnx.compose import add_prefix

from servewell.adapters.embedded.job.trained import Task, Trained
from servewell.core.catalog.signature import Datatype, Input
from servewell.ports.trainer import ConversionFailedError

OPSETS: Final = {"": 18, "ai.onnx.ml": 3}  # both in every onnxruntime that can be installed with us
BOOSTER_OPSET: Final = 15  # the newest that onnxmltools writes
INNER: Final = "model/"  # prefix of every name inside, so that a column may have any name

ELEMENT: Final = {
    Datatype.BYTES: TensorProto.STRING,
    Datatype.BOOL: TensorProto.BOOL,
    Datatype.INT64: TensorProto.INT64,
    Datatype.FP32: TensorProto.FLOAT,
}
OUTPUTS: Final = {
    Task.PROBABILITIES: ("label", "probabilities"),
    Task.LABELS: ("label",),
    Task.NUMBERS: ("prediction",),
}


class Layout(StrEnum):
    """How the columns reach the converted model inside."""

    MATRIX = "one table of numbers"
    FLOATS = "a column each, whole numbers and booleans as numbers"
    NATIVE = "a column each, of its own type"


def layouts(trained: Trained, inputs: Sequence[Input]) -> tuple[Layout, ...]:
    """Return the layouts to try, in this order; the proof decides which one is right.

    A model that treats its columns alike takes them as one table. Where columns are told apart,
    some converters want whole numbers and booleans as such, and others refuse them beside numbers.
    """
    types = {one.datatype for one in inputs}
    if Datatype.BYTES not in types and not _tells_columns_apart(trained.model):
        return (Layout.MATRIX,)
    native = bool(types & {Datatype.INT64, Datatype.BOOL})
    return (Layout.FLOATS, Layout.NATIVE) if native else (Layout.FLOATS,)


def _tells_columns_apart(model: Any) -> bool:  # noqa: ANN401  # untyped library
    parts = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
    return any(type(one).__name__ == "ColumnTransformer" for one in (model, *parts))


def convert(trained: Trained, inputs: Sequence[Input], layout: Layout) -> onnx.ModelProto:
    """Return the model as ONNX, one input per column, with its outputs named as ours are.

    Raises: ConversionFailedError.
    """
    _check_names(trained, inputs)
    try:
        with redirect_stdout(sys.stderr):
            if trained.library == "torch":
                inner = _convert_torch(trained, _width(inputs), layout)
            elif trained.library == "sklearn":
                inner = _convert_sklearn(trained, inputs, layout)
            else:
                inner = _convert_booster(trained, _width(inputs), layout)
    except (ConversionFailedError, ImportError):
        raise
    except Exception as error:
        raise ConversionFailedError(
            f"A {type(trained.model).__name__} could not be turned into ONNX.",
            why=f"{type(error).__name__}: {' '.join(str(error).split())[:400]}",
            fix="use estimators and transformers that skl2onnx supports, or export the model to "
            "ONNX yourself and name it as `artifact`",
        ) from error
    return _wrap(inner, trained.task, inputs, layout)


def _check_names(trained: Trained, inputs: Sequence[Input]) -> None:
    taken = set(OUTPUTS[trained.task])
    for one in inputs:
        if one.name in taken:
            raise ConversionFailedError(
                f"The input `{one.name}` has the name of an output.",
                why=f"a model of this kind answers {', '.join(sorted(taken))}",
                fix="rename that column",
            )


def _convert_sklearn(trained: Trained, inputs: Sequence[Input], layout: Layout) -> onnx.ModelProto:
    from skl2onnx import to_onnx  # noqa: PLC0415  # beside its one use
    from skl2onnx.common import data_types as types  # noqa: PLC0415

    _register_boosters()
    kinds = {Datatype.BYTES: types.StringTensorType}
    if layout is Layout.NATIVE:
        kinds |= {Datatype.INT64: types.Int64TensorType, Datatype.BOOL: types.BooleanTensorType}
    if layout is Layout.MATRIX:
        columns = [("rows", types.FloatTensorType([None, _width(inputs)]))]
    else:
        columns = [
            (one.name, kinds.get(one.datatype, types.FloatTensorType)([None, 1])) for one in inputs
        ]
    zipmap = {id(trained.model): {"zipmap": False}}
    options = zipmap if trained.task is Task.PROBABILITIES else None
    with _booleans_as_integers():
        converted: onnx.ModelProto = to_onnx(
            trained.model, initial_types=columns, options=options, target_opset=OPSETS
        )
    return converted


@contextmanager
def _booleans_as_integers() -> Iterator[None]:
    """Let skl2onnx write booleans where ONNX has integers, as it does for histogram boosting.

    Protobuf 7 refuses them, and the releases of skl2onnx up to 1.20 do not know that yet.
    """
    from skl2onnx.common import _container as container  # noqa: PLC0415

    make_node = container.make_node

    def make_plain_node(*names: Any, **attributes: Any) -> Any:  # noqa: ANN401  # as the original
        for name, value in attributes.items():
            if isinstance(value, list) and any(isinstance(one, bool) for one in value):
                attributes[name] = [int(one) for one in value]
        return make_node(*names, **attributes)

    container.make_node = make_plain_node
    try:
        yield
    finally:
        container.make_node = make_node


def _width(inputs: Sequence[Input]) -> int:
    """Return the number of columns of all inputs together."""
    return sum(one.row_shape[0] for one in inputs)


def _register_boosters() -> None:
    """Teach skl2onnx the boosters that a pipeline may hold, where their library is loaded."""
    from skl2onnx import update_registered_converter  # noqa: PLC0415
    from skl2onnx.common import shape_calculator as shapes  # noqa: PLC0415

    classes = shapes.calculate_linear_classifier_output_shapes
    numbers = shapes.calculate_linear_regressor_output_shapes
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    if library := sys.modules.get("xgboost"):
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import (  # noqa: PLC0415
            convert_xgboost,
        )

        kind: Any = library.XGBClassifier
        update_registered_converter(
            kind, "XGBoostXGBClassifier", classes, convert_xgboost, options=options
        )
        update_registered_converter(
            library.XGBRegressor, "XGBoostXGBRegressor", numbers, convert_xgboost
        )
    if library := sys.modules.get("lightgbm"):
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import (  # noqa: PLC0415
            convert_lightgbm,
        )

        update_registered_converter(
            library.LGBMClassifier,
            "LightGbmLGBMClassifier",
            classes,
            convert_lightgbm,
            options=options,
        )
        update_registered_converter(
            library.LGBMRegressor,
            "LightGbmLGBMRegressor",
            numbers,
            convert_lightgbm,
            options={"split": None},
        )


def _convert_booster(trained: Trained, width: int, layout: Layout) -> onnx.ModelProto:
    from onnxmltools import convert_lightgbm, convert_xgboost  # noqa: PLC0415  # may be missing
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

    if layout is not Layout.MATRIX:
        raise ConversionFailedError(
            f"A {type(trained.model).__name__} takes numbers alone.",
            why="one of its columns holds text",
            fix="encode the texts as numbers in a scikit-learn pipeline around the model",
        )
    types = [("rows", FloatTensorType([None, width]))]
    converted: onnx.ModelProto
    if trained.library == "lightgbm":
        converted = convert_lightgbm(
            trained.model, initial_types=types, zipmap=False, target_opset=BOOSTER_OPSET
        )
    else:
        converted = convert_xgboost(
            _without_names(trained), initial_types=types, target_opset=BOOSTER_OPSET
        )
    return converted


def _convert_torch(trained: Trained, width: int, layout: Layout) -> onnx.ModelProto:
    from servewell.adapters.embedded.job.torch_program import (  # noqa: PLC0415  # heavy
        TorchModel,
        convert_torch,
    )

    if layout is not Layout.MATRIX or not isinstance(trained, TorchModel):
        raise ConversionFailedError(
            "A PyTorch module takes numbers alone.",
            why="one of its columns holds text",
            fix="encode the texts as numbers before, in the data",
        )
    return convert_torch(trained, width)


def _without_names(trained: Trained) -> Any:  # noqa: ANN401  # untyped library
    """Return a copy that calls its columns f0, f1 …, which is all that the converter knows."""
    model = copy.deepcopy(trained.model)
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    booster.feature_names = None
    booster.feature_types = None
    return model


def _wrap(
    inner: onnx.ModelProto, task: Task, inputs: Sequence[Input], layout: Layout
) -> onnx.ModelProto:
    """Return the model behind one input per column, with only the outputs that will be proved."""
    model = add_prefix(inner, INNER)
    graph = model.graph
    nodes = [
        *_entrance(inputs, [one.name for one in graph.input], layout),
        *graph.node,
        *(
            helper.make_node("Identity", [source.name], [name])
            for source, name in zip(graph.output, OUTPUTS[task], strict=False)
        ),
    ]
    outputs = [
        _renamed(source, name) for source, name in zip(graph.output, OUTPUTS[task], strict=False)
    ]
    wrapped = helper.make_graph(
        nodes,
        "model",
        [
            helper.make_tensor_value_info(one.name, ELEMENT[one.datatype], [None, *one.row_shape])
            for one in inputs
        ],
        outputs,
        initializer=graph.initializer,
        sparse_initializer=graph.sparse_initializer,
    )
    return helper.make_model(
        wrapped,
        opset_imports=_opsets(model),
        functions=model.functions,
        ir_version=model.ir_version,
        producer_name="servewell",
    )


def _entrance(
    inputs: Sequence[Input], inner: Sequence[str], layout: Layout
) -> list[onnx.NodeProto]:
    """Return the nodes that bring each column, as a number where that is wanted, to the model."""
    if layout is Layout.MATRIX:
        columns = [f"{INNER}column/{index}" for index in range(len(inputs))]
        joined = [helper.make_node("Concat", columns, [inner[0]], axis=1)]
    else:
        columns, joined = list(inner), []
    nodes = []
    for one, column in zip(inputs, columns, strict=True):
        if one.datatype in (Datatype.BYTES, Datatype.FP32) or layout is Layout.NATIVE:
            nodes.append(helper.make_node("Identity", [one.name], [column]))
        else:
            nodes.append(helper.make_node("Cast", [one.name], [column], to=TensorProto.FLOAT))
    return [*nodes, *joined]


def _renamed(source: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    """Return an output under our name, for any number of rows."""
    tensor = source.type.tensor_type
    dimensions = [one.dim_value or None for one in tensor.shape.dim]
    return helper.make_tensor_value_info(name, tensor.elem_type, [None, *dimensions[1:]])


def _opsets(model: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Return the operator sets of the inner model, with the one that our own nodes need."""
    versions = {one.domain: one.version for one in model.opset_import}
    versions.setdefault("", BOOSTER_OPSET)
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]
