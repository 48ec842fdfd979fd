"""Models as they are served: an ONNX graph, or a predictor in a process of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study.graphs import Feed
from servewell.adapters.embedded.job.study.memory import memory_bytes
from servewell.adapters.embedded.job.study.quality import Answered, texts
from servewell.adapters.embedded.job.study.rows import count, part, parts
from servewell.adapters.embedded.predictor.packages import ProcessHost, host_of
from servewell.core.catalog.model import Predictor
from servewell.core.catalog.signature import Output
from servewell.ports.evaluator import Contender, EvaluationFailedError
from servewell.ports.predictors import (
    PredictorLostError,
    PredictorRaisedError,
    PredictorSlowError,
    PredictorStartError,
)

Array = NDArray[Any]

ROWS_AT_ONCE: Final = 8_192
PREDICTOR_ROWS_AT_ONCE: Final = 1_024
LOAD_WITHIN_S: Final = 120.0


class NoAnswerError(Exception):
    """A model raised an error on these rows, or did not answer in its time."""


class Running(Protocol):
    """What answers rows."""

    rows_at_once: int

    def run(self, feed: Feed) -> Mapping[str, Array]:
        """Return every output.

        Raises: NoAnswerError.
        """
        ...

    def memory_bytes(self) -> int | None:
        """Return what it holds, or None where that cannot be measured."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A contender that runs."""

    about: Contender
    running: Running

    def answers(self, feed: Feed) -> dict[str, Answered]:
        """Return what it answers to rows, by the name of the output.

        Raises: NoAnswerError.
        """
        runs = [self.running.run(one) for one in parts(feed, self.running.rows_at_once)]
        return {
            one.name: _answered(one, np.concatenate([run[one.name] for run in runs]))
            for one in self.about.signature.outputs
        }

    def answers_where_it_can(self, feed: Feed) -> tuple[dict[str, Answered], NDArray[np.int64]]:
        """Return what it answers, and to which of the rows; the others it does not answer.

        Raises: NoAnswerError where it answers none of them.
        """
        try:
            return self.answers(feed), np.arange(count(feed))
        except NoAnswerError:
            taken = [
                row for row in range(count(feed)) if self._takes(part(feed, slice(row, row + 1)))
            ]
            rows = np.array(taken, dtype="int64")
            if not len(rows):
                raise
            return self.answers(part(feed, rows)), rows

    def _takes(self, feed: Feed) -> bool:
        try:
            self.running.run(feed)
        except NoAnswerError:
            return False
        return True


class _Graph:
    """An ONNX model in the runtime that serves it."""

    rows_at_once = ROWS_AT_ONCE

    def __init__(self, path: Path, outputs: Sequence[Output]) -> None:
        self._path = path
        self._names = [one.name for one in outputs]
        try:
            self._session = open_session(path.read_bytes())
        except Exception as error:
            raise EvaluationFailedError(
                "The model cannot be loaded.",
                why=f"ONNX Runtime refuses it: {' '.join(str(error).split())[:200]}",
                fix="train or import it again",
            ) from error

    def run(self, feed: Feed) -> Mapping[str, Array]:
        """See `Running.run`."""
        try:
            answers = self._session.run(self._names, dict(feed))
        except Exception as error:  # what a native library raises is not listed anywhere
            raise NoAnswerError(type(error).__name__) from error
        return dict(zip(self._names, answers, strict=True))

    def memory_bytes(self) -> int | None:
        """See `Running.memory_bytes`: by the growth of a process of its own."""
        return memory_bytes(self._path)


class _Code:
    """A predictor out of its package."""

    rows_at_once = PREDICTOR_ROWS_AT_ONCE

    def __init__(self, host: ProcessHost, predictor: Predictor) -> None:
        self._host = host
        self._within_s = predictor.timeout_s
        self._start()

    def run(self, feed: Feed) -> Mapping[str, Array]:
        """See `Running.run`."""
        try:
            return self._host.call(feed, within_s=self._within_s)
        except PredictorRaisedError as error:
            raise NoAnswerError(str(error)) from error
        except (PredictorSlowError, PredictorLostError) as error:
            self._start()
            raise NoAnswerError("it did not answer in its time, or ended") from error

    def memory_bytes(self) -> int | None:
        """See `Running.memory_bytes`."""
        return self._host.memory_bytes()

    def _start(self) -> None:
        try:
            self._host.start(within_s=LOAD_WITHIN_S)
        except PredictorStartError as error:
            raise EvaluationFailedError(error.what, why=error.why, fix=error.fix) from error


@contextmanager
def running(about: Contender, folder: Path) -> Iterator[Runner]:
    """Give a contender that runs; what it needs is laid out below `folder`.

    Raises: EvaluationFailedError.
    """
    with ExitStack() as stack:
        if about.predictor is None:
            yield Runner(about=about, running=_Graph(about.model, about.signature.outputs))
            return
        name = about.version.replace(":", "-")
        host = host_of(
            about.model,
            about.predictor,
            place=folder / "trial",
            python=about.python,
            log=folder / f"predictor-{name}.log",
        )
        stack.callback(host.close)
        yield Runner(about=about, running=_Code(host, about.predictor))


def _answered(output: Output, whole: Array) -> Answered:
    if output.datatype.is_float:
        return Answered(numbers=whole.reshape(len(whole), -1).astype("float64"), labels=None)
    return Answered(numbers=None, labels=texts(whole.reshape(len(whole), -1)[:, 0]))
