"""Turn how an objective stands into what a person is told."""

from collections.abc import Iterator
from typing import Final

from servewell.core.catalog.objective import Budget, Burn, ObjectiveKind
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.reliability.burn_rate import span

KINDS: Final[dict[ObjectiveKind, SignalKind]] = {
    ObjectiveKind.AVAILABILITY: SignalKind.AVAILABILITY,
    ObjectiveKind.LATENCY: SignalKind.LATENCY,
    ObjectiveKind.FRESHNESS: SignalKind.FRESHNESS,
    ObjectiveKind.DRIFT: SignalKind.DRIFT,
    ObjectiveKind.QUALITY: SignalKind.QUALITY,
}


def signals_of(budget: Budget, *, now: float) -> Iterator[Signal]:
    """Yield that a budget is spent too fast, or else that it is spent; nothing where all is well.

    Callers are hurt by what fails and by what is late: only that pages. An old model or a moved
    world is for working hours.

    Units:  times in seconds since the epoch.
    Raises: nothing.
    """
    objective, burn = budget.objective, budget.burning
    if burn is None and not budget.spent:
        return
    fast = burn is not None and objective.kind in (
        ObjectiveKind.AVAILABILITY,
        ObjectiveKind.LATENCY,
    )
    yield Signal(
        kind=KINDS[objective.kind],
        severity=burn.rule.severity if burn is not None and fast else Severity.TICKET,
        endpoint=objective.endpoint,
        subject=f"objective {objective.name}",
        since=_since(budget, burn, now),
        what=_what(budget, burn),
        because=budget.because,
        value=burn.rate if burn else 1.0 - budget.left,
        bound=burn.rule.factor if burn else 1.0,
        points=_points(budget),
        command=f"servewell objectives {objective.endpoint}",
        runbook="error-budget",
    )


def _since(budget: Budget, burn: Burn | None, now: float) -> float:
    """Return when it began, as well as windows tell: at the start of the one that shows it."""
    end = budget.measured_until or now
    return end - (burn.rule.short_s if burn else 0.0)


def _what(budget: Budget, burn: Burn | None) -> str:
    objective = budget.objective
    goal = f"{objective.goal * 100:.6g}%"
    subject = f"`{objective.endpoint}` misses its {objective.name} objective of {goal}"
    if burn is None:
        return f"{subject}: its error budget of {span(objective.period_s)} is spent."
    lasts = objective.period_s / burn.rate if burn.rate else objective.period_s
    return (
        f"{subject}: {burn.long.share_bad:.2%} of {burn.long.total:,.0f} in "
        f"{span(burn.rule.long_s)} were bad, which spends the budget of "
        f"{span(objective.period_s)} in {span(lasts)}."
    )


def _points(budget: Budget) -> tuple[Points, ...]:
    if not budget.days:
        return ()
    return (
        Points(
            name=f"bad share of {budget.objective.name} by day",
            unit="share",
            times=tuple(at for at, _ in budget.days),
            values=tuple(value for _, value in budget.days),
            bound=budget.objective.budget,
        ),
    )


def unseen_signal(endpoint: str, *, by_look: bool, since: float) -> Signal:
    """Return that nobody counts requests any more, or takes looks: objectives stand still.

    Units:  `since` in seconds since the epoch, until when it is known.
    Raises: nothing.
    """
    return Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET,
        endpoint=endpoint,
        subject="looks" if by_look else "counting",
        since=since,
        what=f"Age, drift and quality of `{endpoint}` are not looked at."
        if by_look
        else f"The requests for `{endpoint}` are not counted.",
        because="the control process runs and cannot do it; objectives stay as they were last "
        "known, and no alert on them ends",
        command="servewell logs control",
        runbook="figures-stand-still",
    )
