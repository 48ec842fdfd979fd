"""The page of a report of the gates: one file that loads nothing."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.intervals import Compared, Estimate, Estimates, intervals
from servewell.charts.page import page, paragraph, section, table
from servewell.charts.plot import Line, Point, Scatter, Series, plot
from servewell.charts.svg import Axis
from servewell.core.catalog.gate import GateReport, GateRow, GateVerdict
from servewell.core.operations.gate_measures import Bin, Gap, Interval, Measures, Slice, Speed
from servewell.core.operations.gates import groups_of

NAMED_MAX: Final = 4  # gates of a group that the summary names
SLICES_MAX: Final = 24  # that are drawn; all are in the table
WORDS: Final = {
    GateVerdict.PASS: ("passes", "c2"),
    GateVerdict.FAIL: ("fails", "c4"),
    GateVerdict.CANNOT_TELL: ("cannot be told", "c1"),
}
MARKS: Final = {
    GateVerdict.PASS: "✓ pass",
    GateVerdict.FAIL: "✗ fail",
    GateVerdict.CANNOT_TELL: "? cannot tell",
}
KILO: Final = 1_000


def draw(report: GateReport, measures: Measures) -> str:
    """Return the page of a report."""
    champion = f" against {report.champion}" if report.champion else ""
    parts = [
        paragraph(f"{_moment(report.at)}{champion}, {_basis(measures)}.", kind="soft"),
        _verdict(report),
        _summary(report.rows),
        *_plots(report, measures),
        *(section(_heading(group), _rows(rows)) for group, rows in groups_of(report.rows).items()),
        *_facts(measures),
    ]
    return page(f"Gates of {report.version}", parts)


def _verdict(report: GateReport) -> str:
    words, colour = WORDS[report.verdict]
    said = f"<strong>{escape(report.version)} {words}.</strong> {escape(_sentence(report.because))}"
    return f'<p class="lead {colour}" style="border-left-color:var(--c)">{said}</p>'


def _basis(measures: Measures) -> str:
    if measures.made_up:
        return f"on rows made up from the signature, because {measures.made_up}"
    return f"on {measures.rows:,} held-out rows"


def _summary(rows: Sequence[GateRow]) -> str:
    """Return one line a group: how many gates passed, and what did not."""
    told = []
    for group, those in groups_of(rows).items():
        passed = sum(one.verdict is GateVerdict.PASS for one in those)
        amiss = [one for one in those if one.verdict is not GateVerdict.PASS]
        worst = min(those, key=_urgency)
        kind = "required" if any(one.required for one in those) else "advisory"
        names = ", ".join(one.slice if group == "slices" else one.gate for one in amiss[:NAMED_MAX])
        names += ", …" if len(amiss) > NAMED_MAX else ""
        told.append(
            (MARKS[worst.verdict], _heading(group), f"{passed} of {len(those)}", kind, names)
        )
    return table(("verdict", "group", "gates passed", "", "not passed"), told)


def _urgency(row: GateRow) -> int:
    order = (GateVerdict.FAIL, GateVerdict.CANNOT_TELL, GateVerdict.PASS)
    return order.index(row.verdict)


def _rows(rows: Sequence[GateRow]) -> str:
    told = [
        (
            MARKS[one.verdict] + ("" if one.required else " (advisory)"),
            _name(one),
            one.because,
            _value(one),
            "" if one.bound is None else _number(one.bound, one.unit),
            f"{one.rows:,}" if one.rows else "",
        )
        for one in sorted(rows, key=_urgency)
    ]
    heads = ("verdict", "gate", "because", "value (95 %)", "bound", "rows")
    return table(heads, told)


def _name(row: GateRow) -> str:
    return f"{row.gate}: {row.slice}" if row.slice else row.gate


def _value(row: GateRow) -> str:
    if row.value is None:
        return ""
    value = _number(row.value, row.unit)
    if row.low is None or row.high is None:
        return value
    return f"{value} ({_number(row.low, row.unit)} to {_number(row.high, row.unit)})"


def _number(value: float, unit: str) -> str:
    if unit == "bytes":
        return _bytes(value)
    return f"{value:,.4g}"


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < KILO:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= KILO
    return f"{number:.1f} TB"


def _plots(report: GateReport, measures: Measures) -> Iterator[str]:
    if measures.quality is not None:
        yield section("How good it is", *_quality(report, measures))
    told = [one for one in measures.slices if one.contrast is not None]
    if told:
        yield section("Groups of rows", *_slices(report, measures, told))
    for column in dict.fromkeys(one.column for one in measures.fairness if one.rates):
        those = [one for one in measures.fairness if one.column == column and one.rates]
        yield section(f"Fairness by {column}", *_gaps(those))
    if measures.calibration is not None:
        found = measures.calibration
        yield section("What its probabilities are worth", _reliability(found.bins, found.champion))
    if measures.speed is not None:
        yield section("How fast it answers", *_speed(measures.speed, report))


def _quality(report: GateReport, measures: Measures) -> Iterator[str]:
    found = measures.quality
    assert found is not None  # noqa: S101 - the caller looked
    series = [_estimates("this version", [found.candidate], 0)]
    if found.champion is not None:
        series.append(_estimates(f"champion, {report.champion}", [found.champion], 5))
    better = "more" if measures.higher_is_better else "less"
    axis = Axis(title=f"{measures.metric}, with its 95 % interval ({better} is better)")
    yield intervals(axis, ["all rows"], series)
    bounds = [one.bound for one in report.rows if one.group == "quality" and one.bound is not None]
    if found.loss is not None and bounds:
        lines = (
            Compared(label="as good", at=0.0),
            Compared(label="most that may be lost", at=bounds[-1], colour=4, dashed=False),
        )
        lost = [_estimates("lost against the champion", [found.loss], 0)]
        share = ", as a share" if measures.relative else ""
        axis = Axis(title=f"{measures.metric} lost{share} (left is better)")
        yield intervals(axis, ["all rows"], lost, lines=lines)


def _slices(report: GateReport, measures: Measures, told: Sequence[Slice]) -> Iterator[str]:
    shown = sorted(told, key=lambda one: _worst_first(one, higher=measures.higher_is_better))
    shown = shown[:SLICES_MAX]
    series = [
        _estimates(
            "this version", [one.contrast.candidate if one.contrast else None for one in shown], 0
        )
    ]
    others = [one.contrast.champion if one.contrast else None for one in shown]
    if any(others):
        series.append(_estimates(f"champion, {report.champion}", others, 5))
    names = [f"{one.column} = {one.group} ({one.rows:,})" for one in shown]
    axis = Axis(title=f"{measures.metric}, with intervals that hold for all groups at once")
    whole = measures.quality.candidate.value if measures.quality else 0.0
    lines = (Compared(label="all rows", at=whole, colour=0),)
    yield intervals(axis, names, series, lines=lines)
    if len(told) > len(shown):
        said = f"The {len(shown)} worst of {len(told)} groups are drawn."
        yield paragraph(said, kind="soft")


def _worst_first(one: Slice, *, higher: bool) -> float:
    value = one.contrast.candidate.value if one.contrast else 0.0
    return value if higher else -value


def _gaps(gaps: Sequence[Gap]) -> Iterator[str]:
    """Yield one drawing of each measure, the groups from the highest rate on."""
    for one in gaps:
        rates = sorted(one.rates, key=lambda rate: -rate.value)
        drawn = [Bar(value=rate.value, detail=f"{rate.group}: {rate.value:.4f}") for rate in rates]
        names = [f"{rate.group} ({rate.rows:,})" for rate in rates]
        label = one.measure.replace("_", " ")
        series = [BarSeries(label=label, bars=drawn)]
        yield bars(Axis(title=f"{label} of this version"), names, series)


def _estimates(label: str, values: Sequence[Interval | None], colour: int) -> Estimates:
    drawn = [
        Estimate(
            value=one.value,
            range=(one.low, one.high),
            detail=f"{label}: {one.value:.4f} ({one.low:.4f} to {one.high:.4f})",
        )
        if one is not None
        else None
        for one in values
    ]
    return Estimates(label=label, values=drawn, colour=colour)


def _reliability(own: Sequence[Bin], champion: Sequence[Bin]) -> str:
    series: list[Series] = [
        Line(label="as it should be", points=[(0.0, 0.0), (1.0, 1.0)], colour=2, dashed=True)
    ]
    if champion:
        series.append(
            Line(
                label="champion",
                points=[(one.predicted, one.happened) for one in champion],
                colour=5,
            )
        )
    points = [
        Point(
            x=one.predicted,
            y=one.happened,
            detail=f"{one.rows:,} rows: said {one.predicted:.3f}, happened {one.happened:.3f}",
        )
        for one in own
    ]
    series.append(Scatter(label="this version", points=points))
    top = max([one.predicted for one in own] + [one.happened for one in own]) * 1.1
    high = min(1.0, top)
    return plot(
        Axis(title="probability that was answered, mean of a bin", low=0.0, high=high),
        Axis(title="share in which it happened", low=0.0, high=high),
        series,
    )


def _speed(found: Speed, report: GateReport) -> Iterator[str]:
    series: list[Series] = [
        Line(label="this version", points=[(own, share) for share, own, _ in found.shares])
    ]
    others = [(other, share) for share, _, other in found.shares if other is not None]
    if others:
        series.append(Line(label=f"champion, {report.champion}", points=others, colour=5))
    yield plot(
        Axis(title="milliseconds of a call with one row, on this machine", log=True),
        Axis(title="share of the calls that took no longer", low=0.0, high=1.0),
        series,
    )


def _facts(measures: Measures) -> Iterator[str]:
    if not measures.runtime:
        return
    took = ", ".join(f"{words} {seconds:.1f} s" for words, seconds in measures.seconds.items())
    yield section(
        "What was measured with",
        paragraph(f"{measures.runtime} on {measures.processor}. Seed {measures.seed}. {took}."),
        paragraph(
            "A bound is kept when the whole interval keeps it, and broken when the whole interval "
            "breaks it; in between nothing is shown, and more rows would tell.",
            kind="soft",
        ),
    )


def _heading(group: str) -> str:
    return group[:1].upper() + group[1:]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
