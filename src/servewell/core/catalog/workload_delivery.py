"""How a change of a workload is checked and delivered by a pipeline."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """What `servewell ci` runs beside what the other keys say."""

    test: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="Command that tests the workload's own code, run in its folder without a "
            "shell. Without it: `python -m pytest`, where there are files `test_*.py`.",
            examples=["python -m pytest -q tests"],
        ),
    ] = None
    test_timeout_s: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400,
            description="Seconds after which the tests are ended and count as failed.",
            examples=[600],
        ),
    ] = 1_200
    roll_out_s: Annotated[
        int,
        Meta(
            ge=0,
            le=604_800,
            description="Seconds that a pipeline waits for the end of the rollout that it began; "
            "0 does not wait, and the rollout goes on by itself.",
            examples=[3_600],
        ),
    ] = 0
