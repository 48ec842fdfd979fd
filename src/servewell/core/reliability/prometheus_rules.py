"""Which rules Prometheus is given: recordings of requests, burn rates, and what is watched."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from servewell.core.catalog.drift import DriftVerdict
from servewell.core.catalog.objective import BurnRule, Objective, ObjectiveKind
from servewell.core.catalog.prometheus_rule import PrometheusGroup, PrometheusRule
from servewell.core.catalog.reading import (
    BUDGET_SPENT,
    DRIFT_VERDICT,
    FAULTS,
    PARTS_WAITING,
    QUALITY_WORSE,
    WATCHED_AT,
)
from servewell.core.catalog.signal import Severity
from servewell.core.reliability.burn_rate import BAD_MIN, rules_for
from servewell.core.reliability.prometheus_traffic import (
    LONGEST_MS,
    duration,
    is_counted,
    series,
    traffic_rules,
)

JOB: Final = "servewell"
SILENT_S: Final = 300  # that the control process may tell nothing new
LATE_S: Final = 900  # that profiles may be behind, or a source of figures fail
HEARTBEAT_S: Final = 30  # that a worker may not have looked after itself
EXPIRY_S: Final = 7 * 86_400  # before which a certificate is to be renewed


def endpoint_groups(
    endpoint: str, objectives: Sequence[Objective], *, latency_ms: float
) -> tuple[PrometheusGroup, ...]:
    """Return the rules of one endpoint: what is recorded, then what alerts.

    `latency_ms` is the time within which an answer is good. Raises: nothing.
    """
    of_requests = [one for one in objectives if is_counted(one, latency_ms=latency_ms)]
    late = any(one.kind is ObjectiveKind.LATENCY for one in objectives) and latency_ms > LONGEST_MS
    recordings = [r for one in of_requests for r in traffic_rules(one, latency_ms=latency_ms)]
    burns = [burn_alert(one, rule) for one in of_requests for rule in rules_for(one)]
    watched = [*(_spent(one) for one in objectives), *_predicts_well(endpoint)]
    groups = (("requests", recordings), ("burn", burns), ("watch", watched))
    return tuple(
        PrometheusGroup(
            name=f"servewell-{endpoint}-{name}",
            rules=tuple(rules),
            note=_uncounted(endpoint) if late and name == "watch" else "",
        )
        for name, rules in groups
        if rules
    )


def burn_alert(objective: Objective, rule: BurnRule) -> PrometheusRule:
    """Return an alert on how fast a budget is spent, which fires as `burn_rate.burn_of` does.

    Both windows are above the factor, the long one has at least 5 bad events, and what chance alone
    may have added to them is left out. The value is the share of the long window that is bad at
    the least.
    """
    bound = f"{rule.factor:g} * {objective.budget:.9g}"
    long, short = duration(rule.long_s), duration(rule.short_s)
    least, total, bad = (series(objective, one, rule.long_s) for one in ("least", "all", "bad"))
    bad_soon, soon = (series(objective, one, rule.short_s) for one in ("bad", "all"))
    return PrometheusRule(
        alert=f"Servewell{objective.kind.title()}Burn",
        expr=f"{least} / {total} > {bound}\n"
        f"and {bad_soon} / {soon} > {bound}\n"
        f"and {bad} >= {BAD_MIN}",
        labels={"severity": rule.severity, "objective": objective.name, "window": long},
        annotations={
            "summary": f"{objective.endpoint} spends its {objective.name} budget {rule.factor:.3g} "
            "times too fast",
            "description": "At least {{ $value | humanizePercentage }} of the "
            f"{objective.counted} of the last {long} were bad, and it goes on in the last {short}. "
            f"The goal is {objective.goal * 100:.6g} %.",
            "command": f"servewell objectives {objective.endpoint}",
        },
    )


def home_group() -> PrometheusGroup:
    """Return the rules on the processes of a home, whatever they serve."""
    return PrometheusGroup(name="servewell-home", rules=tuple(_home()))


def _uncounted(endpoint: str) -> str:
    return (
        f"No rule counts the latency of `{endpoint}`: its objective is beyond "
        f"{LONGEST_MS / 1_000:g} s, where the histogram ends. The control process does; "
        "`ServewellBudgetSpent` tells of it."
    )


def _spent(objective: Objective) -> PrometheusRule:
    of = f'endpoint="{objective.endpoint}", objective="{objective.name}"'
    return PrometheusRule(
        alert="ServewellBudgetSpent",
        expr=f"{BUDGET_SPENT}{{{of}}} == 1",
        labels={"severity": Severity.TICKET, "objective": objective.name},
        annotations={
            "summary": f"{objective.endpoint} has spent its {objective.name} budget",
            "description": f"More went wrong in {duration(objective.period_s)} than a goal of "
            f"{objective.goal * 100:.6g} % allows.",
            "command": f"servewell objectives {objective.endpoint}",
        },
    )


def _predicts_well(endpoint: str) -> Iterator[PrometheusRule]:
    yield PrometheusRule(
        alert="ServewellDrift",
        expr=f'{DRIFT_VERDICT}{{endpoint="{endpoint}", verdict="{DriftVerdict.DRIFT}"}} == 1',
        labels={"severity": Severity.TICKET},
        annotations={
            "summary": f"What {endpoint} takes or gives has moved",
            "description": "Deployment {{ $labels.deployment }} meets other rows than those that "
            "its version was judged by.",
            "command": f"servewell triage {endpoint}",
        },
    )
    yield PrometheusRule(
        alert="ServewellQualityWorse",
        expr=f'{QUALITY_WORSE}{{endpoint="{endpoint}"}} == 1',
        labels={"severity": Severity.TICKET},
        annotations={
            "summary": f"{endpoint} predicts worse than when it was made",
            "description": "Labels prove it of deployment {{ $labels.deployment }}.",
            "command": f"servewell quality {endpoint}",
        },
    )


def _home() -> Iterable[PrometheusRule]:
    yield _of_home(
        "ServewellDown",
        f'up{{job="{JOB}"}} == 0',
        for_s=120,
        severity=Severity.PAGE,
        summary="{{ $labels.instance }} does not answer",
        command="servewell status",
    )
    beat = "servewell_worker_heartbeat_timestamp_seconds"
    yield _of_home(
        "ServewellWorkerDown",
        f"time() - ({beat} > 0) > {HEARTBEAT_S}",
        for_s=60,
        severity=Severity.TICKET,
        summary="worker {{ $labels.worker }} of {{ $labels.instance }} is dead",
        command="servewell status",
    )
    yield _of_home(
        "ServewellRecordsLost",
        "increase(servewell_records_lost_total[10m]) > 0",
        severity=Severity.TICKET,
        summary="{{ $labels.instance }} answered requests that are in no record",
        command="servewell doctor",
    )
    yield _of_home(
        "ServewellControlSilent",
        f"time() - {WATCHED_AT} > {SILENT_S}\n"
        f'or (up{{job="{JOB}"}} == 1 unless on (job, instance) {WATCHED_AT})',
        for_s=60,
        severity=Severity.TICKET,
        summary="nothing watches {{ $labels.instance }}: drift, quality and budgets are old",
        command="servewell status",
    )
    yield _of_home(
        "ServewellProfilesLate",
        f"{PARTS_WAITING} > 0",
        for_s=LATE_S,
        severity=Severity.TICKET,
        summary="the profiles of {{ $labels.instance }} are behind its records",
        command="servewell logs control",
    )
    yield _of_home(
        "ServewellBlind",
        f"{FAULTS} > 0",
        for_s=LATE_S,
        severity=Severity.TICKET,
        summary="nothing can be said of {{ $labels.source }} at {{ $labels.instance }}",
        command="servewell logs control",
    )
    expiry = "servewell_certificate_expiry_timestamp_seconds"
    yield _of_home(
        "ServewellCertificateEnds",
        f"min by (job, instance) ({expiry} > 0) - time() < {EXPIRY_S}",
        severity=Severity.TICKET,
        summary="the certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
        command="servewell doctor",
    )


def _of_home(  # noqa: PLR0913 - the parts of an alert
    alert: str, expr: str, *, severity: Severity, summary: str, command: str, for_s: int = 0
) -> PrometheusRule:
    return PrometheusRule(
        alert=alert,
        expr=expr,
        for_s=for_s,
        labels={"severity": severity},
        annotations={"summary": summary, "command": command},
    )
