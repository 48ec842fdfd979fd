"""How the answers of a shadow compare with those that callers got."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that was compared since the shadow began: counts, and the worst examples."""

    requests: int = 0  # compared
