"""When a workload is trained again, and who may promote what comes of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRules:
    """What starts a training, and what happens to the version that it makes."""
