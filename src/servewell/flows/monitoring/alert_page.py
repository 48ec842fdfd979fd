"""Alerts on a page, each with what it goes by drawn: values over time, and distributions."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.page import page, paragraph, section
from servewell.charts.plot import Line, plot
from servewell.charts.svg import Axis
from servewell.core.catalog.alert import Alert
from servewell.core.catalog.signal import Distributions, Points
from servewell.core.operations.monitoring.alerts_words import lines

HOUR_S: Final = 3_600


def alerts_page(heading: str, alerts: Sequence[Alert], *, now: float) -> str:
    """Return a page of alerts with their evidence as drawings."""
    return page(heading, [_alert(one, now) for one in alerts])


def _alert(alert: Alert, now: float) -> str:
    words = [paragraph(one) for one in lines(alert, now=now)]
    return section(alert.signal.what, *words, *_drawings(alert, now))


def _drawings(alert: Alert, now: float) -> Iterator[str]:
    for points in alert.signal.points:
        yield _over_time(points, now)
    for one in alert.signal.distributions:
        yield _shift(one)


def _over_time(points: Points, now: float) -> str:
    hours = [(at - now) / HOUR_S for at in points.times]
    drawn = [Line(label=points.name, points=tuple(zip(hours, points.values, strict=False)))]
    if points.bound is not None and hours:
        ends = ((hours[0], points.bound), (hours[-1], points.bound))
        drawn.append(Line(label="bound", points=ends, colour=4, dashed=True))
    return plot(Axis(title="hours"), Axis(title=points.unit or points.name), drawn)


def _shift(one: Distributions) -> str:
    series = [
        BarSeries(label=label, bars=[Bar(value=100 * share) for share in shares], colour=colour)
        for label, shares, colour in (("before", one.before, 5), ("now", one.now, 0))
    ]
    return bars(Axis(title=f"{one.column}: % of rows"), one.bins, series)
