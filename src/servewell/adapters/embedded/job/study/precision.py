"""Variants that hold the same model in another form: fused operators, or numbers of fewer bits."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from servewell.adapters.embedded.job.study.graphs import (
    PRODUCTS,
    Feed,
    UnsuitedError,
    check_products,
    copy_of,
)

MODEL: Final = "model.onnx"


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph as ONNX Runtime rewrites it for this kind of processor, at level ALL.

    Source: ONNX Runtime, docs/performance/model-optimizations/graph-optimizations.md, "offline".
    """

    def write(source: Path, target: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])

    return _through_files(model, write)


def dynamic_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with weights in 8 bits; what flows between them is scaled row by row.

    Source: ONNX Runtime, docs/performance/model-optimizations/quantization.md.
    """
    check_products(model)

    def write(source: Path, target: Path) -> None:
        quantize_dynamic(source, target, weight_type=QuantType.QInt8)

    return _through_files(model, write)


def static_int8(model: onnx.ModelProto, feeds: Sequence[Feed]) -> onnx.ModelProto:
    """Return the model with weights and what flows between them in 8 bits.

    The ranges come from `feeds`, which are rows of the training part. Source: as `dynamic_int8`,
    "static quantization", with the format QDQ that it recommends for x86.
    """
    check_products(model)
    if not feeds:
        raise UnsuitedError("there are no rows of training to take the ranges from")

    def write(source: Path, target: Path) -> None:
        quantize_static(
            source,
            target,
            _Calibration(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(PRODUCTS),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )

    return _through_files(model, write)


def float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with weights in 16 bits; its inputs and outputs stay as they are."""
    check_products(model)
    # Beside its one use: it is part of onnxruntime that nothing else needs.
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    converted: onnx.ModelProto = convert_float_to_float16(copy_of(model), keep_io_types=True)
    return converted


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # untyped library
    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> dict[str, object] | None:
        """Return the next rows, or None at the end, as the quantizer asks for them."""
        feed = next(self._feeds, None)
        return None if feed is None else dict(feed)


def _through_files(model: onnx.ModelProto, write: Callable[[Path, Path], None]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / MODEL, Path(folder) / f"new-{MODEL}"
        onnx.save(model, source)
        write(source, target)
        return onnx.load(target)
