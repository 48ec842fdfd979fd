"""How fast an error budget is spent, and when somebody has to be told.

A burn rate of 1 spends the budget in just the period; of 14.4 it spends 2 % of it in an hour. A
rule fires when both of its windows are above its factor: the long one says that it matters, the
short one that it goes on.

Source: The Site Reliability Workbook, chapter 5, table 5-8: page at 14.4 over 1 h and 5 min (2 %
of the budget of 30 days) and at 6 over 6 h and 30 min (5 %), ticket at 1 over 3 days and 6 h
(10 %); Sloth's ticket at 3 over 1 day and 2 h (10 %). As in Pyrra the windows are as long as the
period says, so the same share of the budget is spent whenever a rule fires.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from servewell.core.catalog.objective import DAY_S, Budget, Burn, BurnRule, Objective, Tally
from servewell.core.catalog.signal import Severity

HOUR_S: Final = 3_600.0
MINUTE_S: Final = 60.0
MONTH_S: Final = 30 * DAY_S
RULES: Final = (
    BurnRule(factor=14.4, long_s=HOUR_S, short_s=5 * MINUTE_S, severity=Severity.PAGE),
    BurnRule(factor=6.0, long_s=6 * HOUR_S, short_s=30 * MINUTE_S, severity=Severity.PAGE),
    BurnRule(factor=3.0, long_s=DAY_S, short_s=2 * HOUR_S, severity=Severity.TICKET),
    BurnRule(factor=1.0, long_s=3 * DAY_S, short_s=6 * HOUR_S, severity=Severity.TICKET),
)
BAD_MIN: Final = 5  # in the long window
SHARE_MAX: Final = 0.9  # of the events of a window that a rule may ask to be bad
LONG_LOOKS: Final = 6
SHORT_LOOKS: Final = 2
Z_95: Final = 1.6448536269514722  # quantile of the normal distribution, one-sided
REMEDY: Final = "add probes, a longer window or a lower objective"

Counted = Callable[[float], Tally]  # the events of the last so many seconds


def rules_for(objective: Objective) -> tuple[BurnRule, ...]:
    """Return the rules of an objective, their windows in whole minutes. Units: seconds.

    No factor asks for more than nine of ten events to be bad: of a goal of 80 % six times the
    budget is more than everything, and an outage of all would page nobody. A window over looks
    holds at least six of them, its short one two: in fewer there is no room for five bad ones.
    """
    scale = objective.period_s / MONTH_S
    return tuple(
        BurnRule(
            factor=min(one.factor, SHARE_MAX / objective.budget),
            long_s=max(_minutes(one.long_s * scale), LONG_LOOKS * objective.every_s),
            short_s=max(_minutes(one.short_s * scale), SHORT_LOOKS * objective.every_s),
            severity=one.severity,
        )
        for one in RULES
    )


def burn_of(rule: BurnRule, long: Tally, short: Tally, *, goal: float, looks: bool = False) -> Burn:
    """Return whether a rule fires on what its windows hold.

    It fires when both windows burn faster than its factor, the long one has at least 5 bad events,
    and chance alone does not explain it: the lower bound of 95 % of a Poisson rate is above the
    factor as well. Without that guard an endpoint of few requests pages for single errors. `looks`
    at the same model are no draws of chance: of these 5 bad ones, 25 minutes, are enough.

    Units:  rates in times the rate that spends the budget in just the period.
    Raises: nothing. `goal` is above 0 and below 1.
    """
    budget = 1.0 - goal
    rate, short_rate = long.share_bad / budget, short.share_bad / budget
    fast = rate > rule.factor and short_rate > rule.factor
    proven = long.bad >= BAD_MIN and (
        looks or poisson_lower(long.bad) / max(long.total, 1.0) > rule.factor * budget
    )
    trusted = long.total * (1.0 if looks else rule.factor * budget) >= BAD_MIN
    return Burn(
        rule=rule,
        long=long,
        short=short,
        rate=rate,
        short_rate=short_rate,
        fires=fast and proven,
        trusted=trusted,
        because=_because(rule, long, rate, short_rate, fast=fast, proven=proven, trusted=trusted),
    )


def budget_of(objective: Objective, counted: Counted) -> Budget:
    """Return how an objective stands now, with every rule.

    A budget is spent where more of the period was bad than it allows and that is not chance: at
    least 5 events, and the lower bound of 95 % of a Poisson count is above as well. One request
    that failed of the first twenty says nothing of a month.

    Raises: nothing.
    """
    period = counted(objective.period_s)
    allowed = period.total * objective.budget
    looks = objective.every_s > 0
    burns = tuple(
        burn_of(rule, counted(rule.long_s), counted(rule.short_s), goal=objective.goal, looks=looks)
        for rule in rules_for(objective)
    )
    budget = Budget(
        objective=objective,
        period=period,
        left=1.0 - period.bad / allowed if allowed else 1.0,
        spent=period.bad >= BAD_MIN and poisson_lower(period.bad) > allowed,
        burns=burns,
        because="",
    )
    return replace(budget, because=_standing(budget))


def poisson_lower(events: float) -> float:
    """Return the lower bound of 95 % (one-sided) of the mean of a Poisson count; 0 for no event.

    It is half the 5 % quantile of the chi-square distribution with twice as many degrees of
    freedom (Garwood 1936), by Wilson and Hilferty's cube: from 5 events on it is right to 0.3 %.

    Raises: nothing.
    """
    if events <= 0:
        return 0.0
    root = 1.0 - 1.0 / (9.0 * events) - Z_95 / (3.0 * math.sqrt(events))
    return float(events * max(root, 0.0) ** 3)


def span(seconds: float) -> str:
    """Return a time as people say it: `5 min`, `6 h`, `3 days`."""
    if seconds < 2 * HOUR_S and seconds != HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    if seconds < DAY_S:
        return f"{seconds / HOUR_S:.3g} h"
    days = seconds / DAY_S
    return f"{days:.3g} {'day' if days == 1 else 'days'}"


def _minutes(seconds: float) -> float:
    return math.ceil(seconds / MINUTE_S - 1e-9) * MINUTE_S


def _because(  # noqa: PLR0913 - the facts of one sentence
    rule: BurnRule,
    long: Tally,
    rate: float,
    short_rate: float,
    *,
    fast: bool,
    proven: bool,
    trusted: bool,
) -> str:
    windows = f"{span(rule.long_s)} and {span(rule.short_s)}"
    speeds = f"{rate:.3g} and {short_rate:.3g} times over {windows}"
    if fast and proven:
        return f"the budget is spent {speeds}, against {rule.factor:.3g} times"
    if not long.total:
        return f"nothing was counted in {span(rule.long_s)}"
    if fast:
        return (
            f"{long.bad:,.0f} bad of {long.total:,.0f} in {span(rule.long_s)} may be chance: too "
            f"little traffic; {REMEDY}"
        )
    if not trusted:
        return (
            f"{long.total:,.0f} in {span(rule.long_s)} are too few to show {rule.factor:.3g} "
            f"times: too little traffic; {REMEDY}"
        )
    return f"the budget is spent {speeds}; {rule.factor:.3g} times would be too fast"


def _standing(budget: Budget) -> str:
    period, length = budget.period, span(budget.objective.period_s)
    if not period.total:
        return f"nothing was counted in {length}, so nothing can be said"
    counted = f"{period.bad:,.0f} of {period.total:,.0f} in {length} were bad"
    if budget.burning is not None:
        return f"{budget.burning.because}; {counted}, and {_left(budget)}"
    return f"{counted}: {_left(budget)}"


def _left(budget: Budget) -> str:
    if budget.spent:
        return "the budget is more than spent"
    if budget.left >= 0:
        return f"{budget.left:.0%} of the budget is left"
    return "more than the budget allows, which may be chance: too little traffic to say"
