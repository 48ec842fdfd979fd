"""Models in ONNX, run by ONNX Runtime on one thread."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import onnxruntime

from servewell.core.catalog.signature import Signature
from servewell.serving.runtimes.model import Array, ModelRunError, ModelUnusableError

FATAL: Final = 4  # severity of what is logged: other messages may hold values of a request


class Session(Protocol):
    """What runs a graph, as ONNX Runtime's `InferenceSession` does."""

    def run(
        self,
        wanted: Sequence[str],
        feed: Mapping[str, Array],
        options: onnxruntime.RunOptions | None = None,
    ) -> list[Array]:
        """Return the wanted outputs."""
        ...


Noted = Callable[[Session], Session]


class OnnxModel:
    """One loaded model. `run` may be called from several threads.

    Workers are processes, so a session gets one thread: more would fight over the same cores,
    and threads that spin while they wait would take the cores from the other workers.
    """

    may_block = False

    def __init__(self, data: bytes, signature: Signature, *, noted: Noted | None = None) -> None:
        """`noted` notes what is run, for the case that the worker dies of it."""
        try:
            session = onnxruntime.InferenceSession(
                data, _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise _unusable(f"ONNX Runtime refuses it ({type(error).__name__})") from error
        self.outputs = tuple(one.name for one in signature.outputs)
        self._check(session, signature)
        self._session = noted(session) if noted else session

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Model.run`. A call on the loop cannot be ended; `call` gives one that can."""
        del timeout_s
        return _run(self._session, feed, wanted)

    def call(self) -> "OnnxCall":
        """See `Stoppable.call`."""
        return OnnxCall(self._session)

    def close(self) -> None:
        """See `Model.close`: the session goes with its last user."""

    def _check(self, session: onnxruntime.InferenceSession, signature: Signature) -> None:
        inputs = {one.name for one in session.get_inputs()}
        outputs = {one.name for one in session.get_outputs()}
        if inputs != {one.name for one in signature.inputs}:
            raise _unusable("its inputs are not those of its signature")
        if not outputs >= set(self.outputs):
            raise _unusable("it lacks outputs of its signature")


class OnnxCall:
    """See `Call`. ONNX Runtime looks at the flag between two operators."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = FATAL

    @property
    def stopped(self) -> bool:
        """See `Call.stopped`."""
        return bool(self._options.terminate)

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Call.run`. It is ended by `stop` alone."""
        del timeout_s
        return _run(self._session, feed, wanted, self._options)

    def stop(self) -> None:
        """See `Call.stop`."""
        self._options.terminate = True


def _run(
    session: Session,
    feed: Mapping[str, Array],
    wanted: Sequence[str],
    options: onnxruntime.RunOptions | None = None,
) -> list[Array]:
    try:
        return session.run(wanted, feed, options)
    except Exception as error:  # what a native library raises is not listed anywhere
        raise ModelRunError(type(error).__name__) from error


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = FATAL
    return options


def _unusable(why: str) -> ModelUnusableError:
    return ModelUnusableError(
        "The model cannot be served.",
        why=why,
        fix="import or train it again; `servewell models show` says what the package holds",
    )
