"""Which rules hold for alerts about the whole home, that belong to no workload."""

from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.signal import SignalKind
from servewell.core.catalog.workload_alerts import AlertRules, KindRule
from servewell.core.operations.monitoring.alerts_moves import HOLD_S

# The most severe first: what no rule says is as the signal says, which may be anything.
SEVERE: Final = ("page", None, "ticket", "note")


def home_rules(rules: Sequence[AlertRules]) -> AlertRules:
    """Return the rules of the one workload, or of several the most severe of each.

    A kind is muted, or asks less of a person, only where all of them say so.

    Raises: nothing.
    """
    if len(rules) <= 1:
        return next(iter(rules), AlertRules())
    kinds = sorted({kind for one in rules for kind in one.kinds})
    return AlertRules(
        kinds={kind: _most_severe(SignalKind(kind), rules) for kind in kinds},
        resolve_after_s=max(one.resolve_after_s for one in rules),
        escalate_after_s=min(one.escalate_after_s for one in rules),
    )


def _most_severe(kind: SignalKind, rules: Sequence[AlertRules]) -> KindRule:
    found = [one.kinds.get(kind, KindRule()) for one in rules]
    heard = [one for one in found if not one.mute]
    if not heard:
        return KindRule(mute=True)
    return KindRule(
        severity=min((one.severity for one in heard), key=SEVERE.index),
        hold_s=min(HOLD_S[kind] if one.hold_s is None else one.hold_s for one in heard),
    )
