"""What became of one request, as those see it who watch a deployment."""

from typing import Any, Final

import msgspec

from servewell.core.catalog.prediction_record import PINNED, SHADOW, STAGES

MODEL: Final = STAGES.index("infer")
MICROSECONDS: Final = 1_000

Named = dict[str, list[Any]]  # one value for each row, or one list where it has several


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """A prediction record, without what only a person asks for."""

    prediction_id: str
    time_ns: int  # when the request was read, since the epoch
    deployment: str  # empty where the request was refused before one was chosen
    role: str
    status: int  # HTTP status of the answer
    code: str  # error code, or empty
    snapshot: int  # version served from
    rows: int
    stages_us: tuple[int, ...]  # one per entry of STAGES
    outputs: Named  # empty where there was no answer
    inputs: Named  # empty unless they were asked for
    segment: str  # of the prediction log
    sequence: int  # within that segment
    endpoint: str

    @property
    def is_shadow(self) -> bool:
        """Whether nobody got this answer."""
        return self.role == SHADOW

    @property
    def is_pinned(self) -> bool:
        """Whether the caller chose the deployment, so that the traffic's draw did not."""
        return self.role == PINNED

    @property
    def latency_ms(self) -> float:
        """Return how long the caller waited, from the first stage to the last."""
        return sum(self.stages_us) / MICROSECONDS

    @property
    def model_ms(self) -> float:
        """Return how long the model took."""
        return self.stages_us[MODEL] / MICROSECONDS if len(self.stages_us) > MODEL else 0.0
