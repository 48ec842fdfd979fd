"""What a model version of a workload must prove before it may be deployed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The gates, and the bounds that they hold a version to."""
