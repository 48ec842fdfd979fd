"""Recording and alerting rules, as Prometheus reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusRule:
    """One rule: `record` names the series that it makes, or `alert` the alert that it fires."""

    record: str = ""
    alert: str = ""
    expr: str  # PromQL
    for_s: int = 0  # seconds that an alert's condition has to hold before it fires
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusGroup:
    """Rules that are evaluated one after the other."""

    name: str
    rules: tuple[PrometheusRule, ...]
    note: str = ""  # what no rule tells, for a person; it stands at the head of the file


def document(groups: tuple[PrometheusGroup, ...]) -> dict[str, object]:
    """Return groups as they stand in a file of rules."""
    return {
        "groups": [{"name": one.name, "rules": [_rule(r) for r in one.rules]} for one in groups]
    }


def _rule(one: PrometheusRule) -> dict[str, object]:
    named = {"record": one.record} if one.record else {"alert": one.alert}
    parts: dict[str, object] = {
        "for": f"{one.for_s}s" if one.for_s else "",
        "labels": dict(one.labels),
        "annotations": dict(one.annotations),
    }
    return {**named, "expr": one.expr, **{name: part for name, part in parts.items() if part}}
