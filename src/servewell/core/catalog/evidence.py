"""What a judge remembers of a rollout: running statistics, a few hundred numbers whatever came."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was observed since the candidate got its first request."""

    looks: int = 0
