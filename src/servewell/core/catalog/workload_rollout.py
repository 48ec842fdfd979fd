"""How a new version of a workload takes over the traffic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRules:
    """The strategy of a rollout, its steps and its margins."""
