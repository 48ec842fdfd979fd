"""How long each stage of a prediction takes on the serving path, without a network around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Final

from servewell.core.catalog.signature import Signature
from servewell.serving.protocols.columns import Decoded, OutputTensor
from servewell.serving.protocols.dialect import Headers
from servewell.serving.protocols.oip import DIALECT
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.serving.tensors import Gatherer, scatter

STAGES: Final = ("decode", "gather", "infer", "encode")
ROWS_MAX: Final = 1_000_000
WARM_CALLS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deployed:
    """A deployment that nobody serves: `Deployed` of a protocol."""

    signature: Signature
    endpoint: str = "profiled"
    name: str = "v1"
    version: str = "1"
    head: bytes = b"servewell-deployment: v1\r\nservewell-model-version: 1\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """A request that the model has answered: `Answerable` of a protocol."""

    served: _Deployed
    decoded: Decoded
    outputs: list[OutputTensor]
    infer_ns: int
    prediction_id: str = "0" * 32
    time_ns: int = 0
    headers: Headers = field(default_factory=dict)


def time_stages(
    artifact: bytes, signature: Signature, bodies: Sequence[bytes], calls: int
) -> dict[str, list[int]]:
    """Return the nanoseconds of each stage of each call, taking the bodies in turn.

    The bodies are requests of the Open Inference Protocol V2 in JSON.

    Raises: ModelUnusableError, RequestError, ModelRunError.
    """
    way = _Way(artifact, signature)
    for number in range(WARM_CALLS):
        way.go(bodies[number % len(bodies)])
    spent = [way.go(bodies[number % len(bodies)]) for number in range(calls)]
    return {name: [one[place] for one in spent] for place, name in enumerate(STAGES)}


class _Way:
    """The parts of a worker that a prediction passes."""

    def __init__(self, artifact: bytes, signature: Signature) -> None:
        self._reader = DIALECT.reader(signature)
        self._gatherer = Gatherer(signature)
        self._model = OnnxModel(artifact, signature)
        self._names = tuple(one.name for one in signature.outputs)
        self._served = _Deployed(signature=signature)

    def go(self, body: bytes) -> tuple[int, int, int, int]:
        """Take one request to its answer; return what each stage took, in nanoseconds."""
        arrived = perf_counter_ns()
        decoded = self._reader.decode(body, headers={}, rows_max=ROWS_MAX)
        read = perf_counter_ns()
        feed = self._gatherer.gather([decoded])
        gathered = perf_counter_ns()
        arrays = self._model.run(feed, self._names)
        inferred = perf_counter_ns()
        outputs = [
            OutputTensor(one.name, one.datatype.value, shape, values)
            for one, (values, shape) in zip(
                self._served.signature.outputs, scatter(arrays, [decoded])[0], strict=True
            )
        ]
        DIALECT.answer(
            _Answered(
                served=self._served,
                decoded=decoded,
                outputs=outputs,
                infer_ns=inferred - gathered,
            )
        )
        ended = perf_counter_ns()
        return read - arrived, gathered - read, inferred - gathered, ended - inferred
