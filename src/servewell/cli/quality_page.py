"""What is known of the rightness of a deployment, as a page with a plot of each metric."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from servewell.charts.page import page, paragraph, section, table
from servewell.charts.plot import Line, Point, Scatter, plot
from servewell.charts.svg import Axis
from servewell.cli.show import moment
from servewell.core.catalog.quality import Figure, Quality, QualityReport, Trust

DAY_S: Final = 86_400
HEADS: Final = (
    "from (UTC)",
    "predictions",
    "labels",
    "estimated (95 %)",
    "by labels (95 %)",
    "held-out",
    "trust in the estimate",
)


def quality_page(endpoint: str, reports: Sequence[QualityReport]) -> str:
    """Return a whole page."""
    parts = [part for one in reports for part in _of_deployment(one)]
    return page(f"Quality of {endpoint}", parts)


def figure(value: Figure | None, *, doubtful: bool = False) -> str:
    """Return a figure with its interval, which may be wider where it is doubtful."""
    if value is None:
        return "-"
    least = "at least " if doubtful else ""
    return f"{value.value:.4g} ({least}{value.low:.4g} to {value.high:.4g})"


def cells(one: Quality) -> tuple[str, ...]:
    """Return a window as the cells of a table, under `HEADS`."""
    return (
        moment(one.start),
        f"{one.rows:,}",
        f"{one.labels:,}",
        figure(one.estimated, doubtful=one.trust is Trust.DOUBTFUL),
        figure(one.realised),
        "-" if one.reference is None else f"{one.reference:.4g}",
        one.trust.value,
    )


def _of_deployment(found: QualityReport) -> Iterable[str]:
    yield section(
        f"{found.deployment}: {found.version}",
        paragraph(("Worse than it was: " if found.worse else "") + found.because, kind="lead"),
    )
    for metric in dict.fromkeys(one.metric for one in found.metrics):
        windows = _known([one for one in found.metrics if one.metric == metric])
        yield section(metric, _plot(metric, windows), table(HEADS, map(cells, windows)))
    if found.metrics:
        yield paragraph(f"The estimate of the newest window: {found.metrics[0].because}")


def _plot(metric: str, windows: Sequence[Quality]) -> str:
    """Return what was estimated, what labels say, and the figure of the held-out rows."""
    end = windows[-1].until
    ages = [((one.start + one.until) / 2 - end) / DAY_S for one in windows]
    held = [(age, one.reference) for age, one in zip(ages, windows, strict=True)]
    return plot(
        Axis(title=f"days before {moment(end)} UTC"),
        Axis(title=metric),
        [
            Line(label="held-out rows", points=held, colour=5),
            Scatter(
                label="estimated, at least its 95 %",
                points=list(_points(ages, [one.estimated for one in windows])),
                diamond=True,
            ),
            Scatter(
                label="by labels, its 95 %",
                points=list(_points(ages, [one.realised for one in windows])),
                colour=1,
            ),
        ],
    )


def _points(ages: Iterable[float], figures: Iterable[Figure | None]) -> Iterator[Point]:
    for age, one in zip(ages, figures, strict=True):
        if one is not None:
            yield Point(x=age, y=one.value, y_range=(one.low, one.high))


def _known(windows: Sequence[Quality]) -> Sequence[Quality]:
    """Return the windows, oldest first, from the first that had predictions on."""
    oldest_first = list(reversed(windows))
    first = next((at for at, one in enumerate(oldest_first) if one.rows), 0)
    return oldest_first[first:]
