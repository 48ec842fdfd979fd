"""What a caller is told where the model did not answer."""

from servewell.serving.protections import TryLaterError
from servewell.serving.refusals import ModelFailedError, RequestError
from servewell.serving.runtimes.model import (
    ModelAbsentError,
    ModelBusyError,
    ModelLostError,
    ModelOverranError,
    ModelRunError,
    ModelSlowError,
)


class ModelRestartingError(RequestError):
    """The process of the model is starting again."""

    code = "SW-360"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "The model is starting again.",
            why="the process that runs it had to be ended, and another one is not ready yet",
            fix=f"send the request again in {retry_after_s} s; `servewell status` and the logs "
            "say what happened",
        )
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> bytes:
        """See `RequestError.headers`."""
        return b"retry-after: %d\r\n" % self.retry_after_s


class ModelTooSlowError(RequestError):
    """The model did not answer in the time that it has."""

    code = "SW-361"


class ModelNotLoadedError(TryLaterError):
    """The model is loaded on demand, and cannot be loaded."""

    code = "SW-362"


def refusal_of(error: ModelRunError, prediction_id: str) -> RequestError:
    """Return what the caller of one request is told of a failure of the model."""
    if isinstance(error, ModelBusyError):
        return ModelRestartingError(error.retry_after_s)
    if isinstance(error, ModelSlowError):
        return ModelTooSlowError(
            f"The model took too long for this request, prediction `{prediction_id}`.",
            why="it had not answered when its time was over",
            fix="send fewer rows at once, allow the request more time, or raise "
            "`predictor.timeout_ms` of the workload",
        )
    if isinstance(error, ModelAbsentError):
        return ModelNotLoadedError(
            "The model could not be loaded.",
            why=str(error),
            fix="the operator finds the cause with `servewell status` and `servewell logs`; "
            "`servewell rollback` returns to the deployment before it",
            retry_after_s=error.retry_after_s,
        )
    return ModelFailedError(
        f"The model failed on this request, prediction `{prediction_id}`.",
        why=f"it raised {error}, {_where(error)}",
        fix="look for values that the model was not trained on; the record of this prediction "
        "keeps what was sent",
    )


def concerns_all(error: ModelRunError) -> bool:
    """Whether a failure has nothing to do with the rows: each alone would fail again."""
    return isinstance(error, ModelBusyError | ModelSlowError | ModelAbsentError)


def ended_process(error: ModelRunError) -> bool:
    """Whether the process of the model ended with the call: each alone would have another."""
    return isinstance(error, ModelLostError | ModelOverranError)


def _where(error: ModelRunError) -> str:
    return "on these rows alone" if error.row is None else f"on row {error.row}, counted from 0"
