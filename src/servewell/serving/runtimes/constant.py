"""The same outputs for every row, in place of a model that was stopped."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from servewell.core.catalog.signature import Signature
from servewell.core.catalog.stop import Constant
from servewell.core.operations.stopping import faults_of
from servewell.serving.runtimes.model import DTYPES, Array, ModelUnusableError


class ConstantModel:
    """See `Model`. It takes what the stopped model takes, and looks at none of it."""

    may_block: Final = False
    stopped: Final = False  # a call of it takes no time that could be cut short

    def __init__(self, signature: Signature, outputs: Mapping[str, Constant]) -> None:
        """Raises: ModelUnusableError where these are not outputs of the signature."""
        if faults := faults_of(signature, outputs):
            raise ModelUnusableError(
                "The answer that was ordered cannot be given.",
                why="; ".join(faults),
                fix="order the stop again, with the outputs of the version that is deployed now",
            )
        self.outputs = tuple(one.name for one in signature.outputs)
        self._rows = {
            one.name: np.full((1, *one.row_shape), outputs[one.name], DTYPES[one.datatype])
            for one in signature.outputs
        }

    def run(
        self, feed: Mapping[str, Array], wanted: Sequence[str], *, timeout_s: float | None = None
    ) -> list[Array]:
        """See `Model.run`."""
        del timeout_s
        rows = max((len(one) for one in feed.values()), default=0)
        return [np.repeat(self._rows[name], rows, axis=0) for name in wanted]

    def call(self) -> "ConstantModel":
        """See `Stoppable.call`."""
        return self

    def stop(self) -> None:
        """See `Call.stop`."""

    def close(self) -> None:
        """See `Model.close`."""
