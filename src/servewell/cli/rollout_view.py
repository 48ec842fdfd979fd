"""A rollout as people see it: where it stands, what is shown, what is missing, what comes next."""

from collections.abc import Iterator
from typing import Final

import click

from servewell.cli import show
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.judgement import Finding, Showing
from servewell.core.catalog.rollout import Rollout, Stage, Strategy
from servewell.core.operations.rollout_moves import Move, RolloutDecision
from servewell.core.operations.traffic import describe, percent

BAR: Final = 24  # characters of an interval
COLOURS: Final = {
    Showing.WORSE: "red",
    Showing.NOT_WORSE: "green",
    Showing.UNCLEAR: "yellow",
    Showing.NO_DATA: "bright_black",
}
STAGE_COLOURS: Final = {Stage.PROMOTED: "green", Stage.ROLLED_BACK: "red", Stage.HELD: "yellow"}
MINUTE_S: Final = 60
HOUR_S: Final = 3_600
FLAT: Final = 1.0  # a ratio at which nothing differs


def page(rollout: Rollout, endpoint: Endpoint, decision: RolloutDecision | None) -> Iterator[str]:
    """Yield the lines of one rollout; `decision` is its next move, None where it has ended."""
    stage = click.style(rollout.stage.value, bold=True, fg=STAGE_COLOURS.get(rollout.stage))
    yield f"rollout    {rollout.id}"
    yield f"candidate  {rollout.candidate_version} as `{rollout.candidate}`"
    yield f"stable     {rollout.stable_version} as `{rollout.stable}`"
    yield f"strategy   {strategy(rollout)}"
    yield f"began      {show.moment(rollout.began_at)}, by {rollout.principal}"
    yield f"stage      {stage}, {_since(rollout)}"
    yield f"because    {rollout.because}"
    yield f"traffic    {describe(endpoint.traffic)}"
    for one in rollout.approvals:
        yield f"approved   {show.moment(one.at)}, by {one.principal}: {one.because}"
    yield from _judged(rollout)
    yield from _compared(rollout)
    if decision is not None:
        yield from _next(decision)


def strategy(rollout: Rollout) -> str:
    """Return the strategy with its steps."""
    plan = rollout.plan
    steps = ", ".join(percent(one) for one in plan.steps_bp)
    shadow = f"{percent(plan.shadow_bp)} copied, then "
    first = shadow if plan.strategy is Strategy.SHADOW_THEN_CANARY else ""
    return f"{plan.strategy.value}: {first}{steps + ', then ' if steps else ''}all"


def line(rollout: Rollout) -> str:
    """Return a rollout on one line, as `status` tells of it."""
    return (
        f"{rollout.endpoint}: a rollout of {rollout.candidate_version} is {rollout.stage.value}, "
        f"{_since(rollout)}"
    )


def _since(rollout: Rollout) -> str:
    if rollout.ended_at is not None:
        return f"at {show.moment(rollout.ended_at)}"
    steps = len(rollout.plan.steps_bp)
    step = f"step {rollout.step + 1} of {steps}, " if rollout.stage is Stage.SHIFTING else ""
    return f"{step}for {duration(rollout.stage_s)}"


def duration(seconds: float) -> str:
    """Return a length of time as people read it."""
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.1f} h"


def _judged(rollout: Rollout) -> Iterator[str]:
    if rollout.judgement is None:
        return
    yield f"judge      {rollout.judgement.verdict.value}: {rollout.judgement.because}"
    yield ""
    heads = ("measure", "stable", "candidate", "interval and margin", "", "shows")
    rows = [_finding(one) for one in rollout.judgement.findings]
    widths = [max(len(click.unstyle(row[i])) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [tuple(click.style(one, bold=True) for one in heads), *rows]:
        cells = (
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
    yield ""


def _finding(one: Finding) -> tuple[str, ...]:
    measure = one.measure if one.required else f"({one.measure})"
    return (
        measure,
        _number(one.stable),
        _number(one.candidate),
        bar(one),
        _bounds(one),
        click.style(one.showing.value, fg=COLOURS[one.showing]),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _bounds(one: Finding) -> str:
    if one.low is None and one.high is None:
        return ""
    high = "∞" if one.high is None else f"{one.high:.3g}"
    return f"{one.low or 0:.3g} … {high}, margin {_number(one.margin)}"


def bar(one: Finding) -> str:
    """Return the interval of a finding as a bar, with `│` where its margin is."""
    if one.margin is None or (one.low is None and one.high is None):
        return ""
    flat = FLAT if one.unit.startswith("ratio") else 0.0
    low = flat if one.low is None else one.low
    left, right = min(low, flat), max(2 * one.margin - flat, one.margin)

    def place(value: float) -> int:
        return min(BAR - 1, max(0, int((value - left) / (right - left or 1.0) * BAR)))

    first, last = place(low), BAR - 1 if one.high is None else place(one.high)
    cells = ["·"] * first + ["━"] * (last + 1 - first) + ["·"] * (BAR - 1 - last)
    cells[place(one.margin)] = "│"
    if one.high is None or one.high > right:
        cells[-1] = "▶"
    return click.style("".join(cells), fg=COLOURS[one.showing])


def _compared(rollout: Rollout) -> Iterator[str]:
    found = rollout.comparison
    copies = found.requests + found.failed
    if not copies:
        return
    share = "-" if found.disagreement is None else f"{found.disagreement:.2%}"
    yield (
        f"shadow     {copies:,} of {rollout.plan.shadow_requests:,} copies compared, "
        f"{share} of the rows differ, {found.failed:,} failed"
    )
    for one in found.examples[:3]:
        yield f"           differs by {one.difference:.3g}: {one.live} against {one.shadow}"
    for gap in found.gaps:
        yield f"           not seen: {gap}"


def _next(decision: RolloutDecision) -> Iterator[str]:
    if decision.move is not Move.STAY:
        yield f"next       {decision.move.value}: {decision.because}"
        return
    yield "next       nothing yet; it waits for"
    for one in decision.waits_for or (decision.because,):
        yield f"           - {one}"
