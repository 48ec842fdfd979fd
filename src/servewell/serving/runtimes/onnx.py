"""Models in ONNX, run by ONNX Runtime on one thread."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from servewell.core.catalog.signature import Datatype, Signature
from servewell.errors import ServewellError

Array = NDArray[Any]

DTYPES: Final[dict[Datatype, type[np.generic]]] = {
    Datatype.BOOL: np.bool_,
    Datatype.INT8: np.int8,
    Datatype.INT16: np.int16,
    Datatype.INT32: np.int32,
    Datatype.INT64: np.int64,
    Datatype.UINT8: np.uint8,
    Datatype.UINT16: np.uint16,
    Datatype.UINT32: np.uint32,
    Datatype.UINT64: np.uint64,
    Datatype.FP16: np.float16,
    Datatype.FP32: np.float32,
    Datatype.FP64: np.float64,
    Datatype.BYTES: np.object_,
}


class ModelUnusableError(ServewellError):
    """A model version cannot be loaded, so a worker does not serve it."""

    code = "SW-506"


class ModelRunError(Exception):
    """The model raised an error on these rows. Its message may hold values of them."""


class OnnxModel:
    """One loaded model. `run` may be called from several threads.

    Workers are processes, so a session gets one thread: more would fight over the same cores,
    and threads that spin while they wait would take the cores from the other workers.
    """

    def __init__(self, data: bytes, signature: Signature) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                data, _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise _unusable(f"ONNX Runtime refuses it ({type(error).__name__})") from error
        self.outputs = tuple(one.name for one in signature.outputs)
        self._check(signature)

    def run(self, feed: Mapping[str, Array], wanted: Sequence[str]) -> list[Array]:
        """Return the wanted outputs, in that order.

        Raises: ModelRunError.
        """
        try:
            arrays: list[Array] = self._session.run(wanted, feed)
        except Exception as error:  # what a native library raises is not listed anywhere
            raise ModelRunError(type(error).__name__) from error
        return arrays

    def _check(self, signature: Signature) -> None:
        inputs = {one.name for one in self._session.get_inputs()}
        outputs = {one.name for one in self._session.get_outputs()}
        if inputs != {one.name for one in signature.inputs}:
            raise _unusable("its inputs are not those of its signature")
        if not outputs >= set(self.outputs):
            raise _unusable("it lacks outputs of its signature")


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # fatal only: its messages may hold values of a request
    return options


def _unusable(why: str) -> ModelUnusableError:
    return ModelUnusableError(
        "The model cannot be served.",
        why=why,
        fix="import or train it again; `servewell models show` says what the package holds",
    )
