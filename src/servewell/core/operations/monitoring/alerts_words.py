"""An alert in words, and its evidence in one line of characters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from servewell.core.catalog.alert import Alert, AlertState, Notice, Reason
from servewell.core.catalog.change import Change
from servewell.core.catalog.signal import Distributions, Points

BLOCKS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = "·"  # where a value is not known
WIDTH: Final = 32  # characters of a small plot
UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))
# What is told as it is; of the other reasons the severity says more.
SAID: Final = frozenset(
    {Reason.WORSE, Reason.RETURNED, Reason.ESCALATED, Reason.ACKNOWLEDGED, Reason.RESOLVED}
)


def title(notice: Notice) -> str:
    """Return a notice in one line: how urgent, where, what."""
    first, more = notice.alerts[0], len(notice.alerts) - 1
    rest = f" (and {more} more)" if more else ""
    if notice.missed_from is not None:
        gap = f"nobody watched for {span(notice.at - notice.missed_from)}"
        return f"[{notice.severity}] {gap}; since then: {first.signal.what}{rest}"
    return f"{_mark(notice)} {first.endpoint or 'home'}: {first.signal.what}{rest}"


def paragraphs(notice: Notice) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each alert of a notice: what it says, and the lines below that."""
    return tuple(
        (
            headline(one, told=notice.reason is not Reason.TEST),
            lines(one, now=notice.at, explains=notice.folded.get(one.key, ())),
        )
        for one in notice.alerts
    )


def headline(alert: Alert, *, told: bool = True) -> str:
    """Return what an alert says, with its state where that is news."""
    state = f"{alert.tell}: " if told and alert.tell in SAID else ""
    return f"{state}{alert.signal.what}"


def lines(alert: Alert, *, now: float, explains: Sequence[str] = ()) -> tuple[str, ...]:
    """Return since when it is so, how that is known, what came before it, and what to do next."""
    signal = alert.signal
    found = [
        ("since", f"{moment(signal.since)}, for {span((alert.ended_at or now) - signal.since)}"),
        ("because", signal.because),
        ("before it", alert.change and since_change(alert.change, signal.since)),
        *(("evidence", evidence_line(one)) for one in signal.points),
        *(("evidence", _shift_line(one)) for one in signal.distributions),
        *(("explains", one) for one in explains),
        ("taken by", alert.acknowledged_by),
        ("runbook", signal.runbook and f"servewell alerts runbook {signal.runbook}"),
        ("next", signal.command),
        ("alert", f"{alert.id}, {alert.severity}, {alert.state}"),
    ]
    open_now = alert.state is not AlertState.RESOLVED
    return tuple(f"{name}: {text}" for name, text in found if text and (open_now or name != "next"))


def said(alert: Alert, because: str) -> str:
    """Return a move of an alert as a sentence of the history."""
    cause = f", explained by `{alert.cause}`" if alert.cause else ""
    return (
        f"alert {alert.id} ({alert.severity}) {alert.state}{cause}: {alert.signal.what} {because}"
    )


def since_change(change: Change, since: float) -> str:
    """Return a change as what came before a condition."""
    before = since - change.at
    when = f"{span(before)} before" if before > 0 else "at that time"
    return f"{change.kind} of `{change.subject}`, {when}, by {change.principal}: {change.because}"


def evidence_line(points: Points) -> str:
    """Return a value over time in one line."""
    known = [one for one in points.values if one is not None]
    if not known:
        return f"{points.name}: nothing is known of it"
    unit = f" {points.unit}" if points.unit else ""
    bound = "" if points.bound is None else f", bound {points.bound:.4g}{unit}"
    ends = f"{min(known):.4g} to {max(known):.4g}, now {known[-1]:.4g}{unit}"
    return f"{points.name} {sparkline(points.values)} {ends}{bound}"


def sparkline(values: Sequence[float | None], *, width: int = WIDTH) -> str:
    """Return values as blocks of different height, the lowest as the lowest block.

    Where there are more than `width`, each block is the mean of its share of them.
    """
    means = [_mean(one) for one in _parts(values, width)]
    known = [one for one in means if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    top = len(BLOCKS) - 1
    return "".join(
        GAP if one is None else BLOCKS[round(top * (one - low) / (high - low)) if high > low else 0]
        for one in means
    )


def moment(at: float) -> str:
    """Return a time as people read it, UTC to the minute."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def span(seconds: float) -> str:
    """Return how long something lasts, in its largest unit and the next one."""
    left = round(max(0.0, seconds))
    for place, (unit, size) in enumerate(UNITS):
        if left >= size:
            after = UNITS[place + 1 :]
            rest = left % size // after[0][1] if after else 0
            return f"{left // size} {unit}" + (f" {rest} {after[0][0]}" if rest else "")
    return f"{left} s"


def _mark(notice: Notice) -> str:
    if notice.reason in (Reason.RESOLVED, Reason.ACKNOWLEDGED, Reason.TEST):
        return f"[{notice.reason}]"
    more = f", {notice.reason}" if notice.reason in SAID else ""
    return f"[{notice.severity}{more}]"


def _shift_line(one: Distributions) -> str:
    before, now = sparkline(one.before), sparkline(one.now)
    pairs = zip(one.bins, one.before, one.now, strict=True)
    most = max(pairs, key=lambda each: abs(each[2] - each[1]), default=None)
    moved = "" if most is None else f"; {most[0]} from {most[1]:.1%} to {most[2]:.1%}"
    return f"{one.column} before {before} now {now}{moved}"


def _parts(values: Sequence[float | None], width: int) -> list[Sequence[float | None]]:
    count = min(len(values), width)
    ends = [len(values) * place // count for place in range(count + 1)] if count else [0]
    return [values[start:end] for start, end in pairwise(ends)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None
