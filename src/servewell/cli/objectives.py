"""`servewell objectives`: what is left of the error budgets, and what spends them."""

from collections.abc import Iterator
from typing import Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.sparkline import sparkline
from servewell.core.catalog.objective import Budget, Burn, Whole
from servewell.core.reliability.burn_rate import span
from servewell.flows.monitoring.objectives import objectives_standing

BAR: Final = 20


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@command
def objectives(session: Session, endpoint: str) -> int:
    """Show the objectives of ENDPOINT: what is left of each budget, and what spends it.

    Each has a bar of its budget, a line of its days with a bar for the bad share of each, and how
    fast the budget is spent over four windows. Availability and latency are held to defaults where
    nothing is written; `objectives:` in the workload file changes them.

    Example: servewell objectives flight-delays
    """
    platform = session.platform
    found = objectives_standing(platform, endpoint, now=platform.clock.now())
    if session.as_json:
        show.as_json(found)
        return 0
    if not found.budgets:
        click.echo(f"`{endpoint}` has no objective: `objectives:` turns all of them off.")
    for budget in found.budgets:
        for line in _page(budget):
            click.echo(line)
    if found.whole is not None:
        for line in _whole(found.whole):
            click.echo(line)
    return 0


def _page(budget: Budget) -> Iterator[str]:
    one = budget.objective
    head = click.style(f"{one.name}  {one.goal * 100:.6g}%", bold=True)
    yield f"{head} of {one.counted} in {span(one.period_s)} ({one.because})"
    if budget.period.total:
        yield f"  budget   {_bar(budget.left)} {budget.left:.1%} left"
    yield f"  stands   {budget.because}"
    if budget.days:
        top = 2 * one.budget
        shares = [value for _, value in budget.days]
        highest = max(top, *_known(shares))
        yield f"  by day   {sparkline(shares, top=top)}  (highest bar: {highest:.3%} bad)"
    for burn in budget.burns:
        yield f"  burn     {_burn(burn)}"
    for part in budget.spent_by:
        yield f"  spent    {part.share:.0%} by {part.by}: {part.bad:,.0f}"
    yield ""


def _known(values: list[float | None]) -> list[float]:
    return [0.0, *(one for one in values if one is not None)]


def _bar(left: float) -> str:
    full = round(min(max(left, 0.0), 1.0) * BAR)
    return "█" * full + "░" * (BAR - full)


def _burn(burn: Burn) -> str:
    rule = burn.rule
    windows = f"{span(rule.long_s)} & {span(rule.short_s)}"
    word = click.style(f"FIRES ({rule.severity.value})", fg="red") if burn.fires else "quiet"
    speeds = f"{burn.rate:>7.2f}x {burn.short_rate:>7.2f}x of {rule.factor:>4.3g}x"
    doubt = "" if burn.trusted or burn.fires else f"; {burn.because}"
    return f"{windows:<18} {speeds}  {word}{doubt}"


def _whole(whole: Whole) -> Iterator[str]:
    yield f"{click.style('with all that it needs', bold=True)}: {whole.because}"
    for one in whole.parts:
        good = "not known" if one.good is None else f"{one.good:.3%}"
        how = "" if one.measured else " (as promised, not measured)"
        yield f"  {one.name:<24} {good}{how}, {one.share:.0%} of what fails"
