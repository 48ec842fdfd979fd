"""`servewell explain`: why one prediction came out as it did."""

from collections.abc import Iterator
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.flows.monitoring.explain import ExplainedPrediction, explain_prediction
from servewell.ports.explainer import Contribution, Explanation, Method

BAR: Final = 24  # characters to either side
SHOWN: Final = 20  # inputs
Z: Final = 1.96  # standard errors of 95 %
FULL: Final = "█"


@click.command("explain")
@click.argument("id_", metavar="ID")
@click.option("--row", type=click.IntRange(0), default=0, help="Row of the request; default 0.")
@click.option(
    "--since",
    type=Moment(),
    metavar="TIME",
    help="Look for trace and request ids since then, in UTC; default: in the last week.",
)
@click.option(
    "--as", "principal", help="Look as this principal; default: you, who may see everything."
)
@command
def explain(
    session: Session, id_: str, *, row: int, since: float | None, principal: str | None
) -> int:
    """Explain one prediction: what each input did to it, beside answers to other rows.

    Exact for trees and linear models; of others the contributions are sampled, each with its error.
    Personal inputs are tokens in the log and cannot be explained.

    Example: servewell explain 18ea64a26c00390068d6597900000004
    """
    platform = session.platform
    who = principal or platform.principal
    found = explain_prediction(platform, id_, row=row, principal=who, since=since)
    if session.as_json:
        show.as_json(found)
        return 0
    for line in _lines(found):
        click.echo(line)
    return 0


def _lines(found: ExplainedPrediction) -> Iterator[str]:
    told = found.explanation
    of = f" for `{told.of}`" if told.of else ""
    unit = f", in {told.unit}" if told.unit else ""
    yield click.style(
        f"{found.prediction_id} row {found.row}: {told.output}{of} {told.answer:.6g}", bold=True
    )
    yield f"{found.version}; {told.method}{unit}: {told.because}"
    yield f"{told.expected:+.4g} is expected: the mean over {told.background:,} {told.source}"
    yield ""
    known = [one for one in told.contributions if one.amount is not None]
    widest = max((len(_name(one)) for one in known[:SHOWN]), default=0)
    largest = max((abs(one.amount or 0.0) for one in known), default=0.0)
    for one in known[:SHOWN]:
        yield _line(one, widest, largest, sampled=told.method is Method.SAMPLED)
    if known[SHOWN:]:
        rest = sum(one.amount or 0.0 for one in known[SHOWN:])
        yield f"{'others':<{widest}}  {rest:>+10.4g}  {len(known) - SHOWN} inputs"
    yield ""
    yield f"{told.reached:+.4g} for this row; the sum is {_gap(told)}"
    hidden = [one.input for one in told.contributions if one.amount is None]
    if hidden:
        yield (
            f"{', '.join(hidden)}: personal, a token in the log. What it did is not known; the "
            "figures are means over its values in those rows."
        )


def _name(one: Contribution) -> str:
    return f"{one.input} = {one.value}"


def _line(one: Contribution, widest: int, largest: float, *, sampled: bool) -> str:
    amount = one.amount or 0.0
    error = f" ± {Z * one.error:<8.2g}" if sampled else ""
    bar = FULL * round(BAR * abs(amount) / largest) if largest else ""
    sides = f"{'' if amount > 0 else bar:>{BAR}}|{bar if amount > 0 else ''}"
    return f"{_name(one):<{widest}}  {amount:>+10.4g}{error}  {sides}".rstrip()


def _gap(told: Explanation) -> str:
    if told.method is Method.SAMPLED:
        return "right by construction, each part within its error (95 %)"
    return f"exact: {abs(told.gap):.1g} away"
