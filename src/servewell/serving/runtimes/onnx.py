"""Models in ONNX, run by ONNX Runtime on one thread."""

from collections.abc import Mapping, Sequence

import onnxruntime

from servewell.core.catalog.signature import Signature
from servewell.serving.runtimes.model import Array, ModelRunError, ModelUnusableError


class OnnxModel:
    """One loaded model. `run` may be called from several threads.

    Workers are processes, so a session gets one thread: more would fight over the same cores,
    and threads that spin while they wait would take the cores from the other workers.
    """

    may_block = False

    def __init__(self, data: bytes, signature: Signature) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                data, _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise _unusable(f"ONNX Runtime refuses it ({type(error).__name__})") from error
        self.outputs = tuple(one.name for one in signature.outputs)
        self._check(signature)

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Model.run`. A call on the loop cannot be ended."""
        del timeout_s
        try:
            arrays: list[Array] = self._session.run(wanted, feed)
        except Exception as error:  # what a native library raises is not listed anywhere
            raise ModelRunError(type(error).__name__) from error
        return arrays

    def close(self) -> None:
        """See `Model.close`: the session goes with its last user."""

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
