"""A load test in words, as a page with plots, and as JSON."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from servewell.charts.page import page, paragraph, section, table
from servewell.charts.plot import Line, plot
from servewell.charts.svg import Axis
from servewell.cli.show import moment
from servewell.core.performance.load_result import (
    GOOD,
    LittlesLaw,
    StageResult,
    Window,
    percentile_ms,
)
from servewell.flows.load_test import LoadReport

HEADS = ("stage", "offered/s", "answered/s", "good/s", "p50 ms", "p95 ms", "p99 ms", "carried")


def write(report: LoadReport, folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into a folder; return both."""
    folder.mkdir(parents=True, exist_ok=True)
    html, data = folder / "report.html", folder / "report.json"
    html.write_text(_page(report))
    data.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return html, data


def words(report: LoadReport) -> str:
    """Return what a person reads in a terminal."""
    lines = [verdict(report), ""]
    rows = [HEADS, *(_row(one) for one in report.stages)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += ["", *(f"{one.stage}: {one.because}" for one in report.stages if not one.carried)]
    unsteady = [one for one in report.stages if one.littles_law.holds is False]
    lines += [_law(one.stage, one.littles_law) for one in unsteady]
    return "\n".join(lines).rstrip()


def verdict(report: LoadReport) -> str:
    """Return the one sentence that matters."""
    if report.capacity_per_s is None:
        carried = f"`{report.endpoint}` kept its objective at no rate of the plan"
    else:
        carried = f"`{report.endpoint}` carried {report.capacity_per_s:,.0f} requests a second"
    within = f"{carried} (p99 within {report.objective_ms:g} ms, {report.source})."
    return f"{within} Ended early: {report.stopped}." if report.stopped else within


def second(window: Window) -> str:
    """Return one second as a line of a log."""
    p99 = percentile_ms(window.buckets, 99)
    tail = "-" if p99 is None else f"{p99:.1f} ms"
    failed = window.ended - window.answered
    return (
        f"{window.at + window.seconds:6.1f} s  {window.due / window.seconds:8,.0f} due/s  "
        f"{window.answered / window.seconds:8,.0f} answered/s  p99 {tail}  {failed:,} failed"
    )


def _row(one: StageResult) -> tuple[str, ...]:
    times = [one.percentiles_ms.get(name) for name in ("p50", "p95", "p99")]
    return (
        one.stage,
        f"{one.offered_per_s:,.0f}",
        f"{one.answered_per_s:,.0f}",
        f"{one.good_per_s:,.0f}",
        *("-" if value is None else f"{value:,.1f}" for value in times),
        "yes" if one.carried else "no",
    )


def _page(report: LoadReport) -> str:
    stages = table(HEADS, (_row(one) for one in report.stages))
    why = table(("stage", "because"), ((one.stage, one.because) for one in report.stages))
    seconds = [one.whole for one in report.windows]
    about = (
        f"{report.requests:,} requests to {report.address} from {moment(report.began_at)}; "
        "latency counts from when a request was due."
    )
    return page(
        f"Load test of {report.endpoint}",
        [
            paragraph(verdict(report), kind="lead"),
            paragraph(about, kind="soft"),
            section("Requests a second", _rates(seconds)),
            section("Latency", _latencies(seconds, report.objective_ms)),
            section("Stage by stage", stages, why),
            section("Does the measurement agree with itself?", _laws(report.stages)),
            section("Answers", _answers(report.stages)),
        ],
    )


def _rates(windows: Sequence[Window]) -> str:
    offered = [(one.at, one.due / one.seconds) for one in windows]
    answered = [(one.at, one.answered / one.seconds) for one in windows]
    good = [(one.at, one.good_within / one.seconds) for one in windows]
    return plot(
        Axis(title="seconds"),
        Axis(title="requests a second", low=0),
        [
            Line(label="offered", points=offered, colour=5, dashed=True),
            Line(label="answered", points=answered, colour=0),
            Line(label="within the objective", points=good, colour=2),
        ],
    )


def _latencies(windows: Sequence[Window], objective_ms: float) -> str:
    lines = [
        Line(
            label=f"p{percent}",
            points=[(one.at, percentile_ms(one.buckets, percent)) for one in windows],
            colour=colour,
        )
        for percent, colour in ((50, 0), (95, 3), (99, 1))
    ]
    objective = [(one.at, objective_ms) for one in windows]
    lines.append(Line(label="objective", points=objective, colour=4, dashed=True))
    return plot(Axis(title="seconds"), Axis(title="milliseconds", log=True), lines)


def _laws(stages: Sequence[StageResult]) -> str:
    rows = (
        (
            one.stage,
            f"{one.littles_law.in_flight:.2f}",
            f"{one.littles_law.by_latency:.2f}",
            f"{one.littles_law.gap:.1%}",
            {True: "yes", False: "no", None: "too few requests to say"}[one.littles_law.holds],
        )
        for one in stages
    )
    heads = ("stage", "in flight", "rate x latency", "they differ by", "agrees")
    about = (
        "Little's law: in a steady state the mean number of requests in flight is their rate times "
        "their mean latency. Both were counted apart. They differ where the queue grew through the "
        "whole stage, or where the measurement is wrong."
    )
    return paragraph(about, kind="soft") + table(heads, rows)


def _law(stage: str, law: LittlesLaw) -> str:
    return (
        f"{stage}: {law.in_flight:.1f} requests were in flight, and rate times latency is "
        f"{law.by_latency:.1f}: the queue was not steady, or the machine too busy to measure"
    )


def _answers(stages: Sequence[StageResult]) -> str:
    names = sorted({name for one in stages for name in one.statuses} | {GOOD})
    rows = ((one.stage, *(f"{one.statuses.get(name, 0):,}" for name in names)) for one in stages)
    return table(("stage", *names), rows)
