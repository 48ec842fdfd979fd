"""What `servewell models optimize` found, as a table in the terminal and as a page."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.page import page, paragraph, section, table
from servewell.charts.plot import Line, Point, Scatter, Series, plot
from servewell.charts.svg import Axis
from servewell.cli import show
from servewell.core.performance.optimisation import (
    BATCHES,
    SCALES,
    Cost,
    Estimate,
    Gate,
    Metric,
    Variant,
)
from servewell.flows.optimise_model import Optimisation

MICROSECONDS: Final = 1e6
TITLES: Final = {
    Metric.AUC: "AUC",
    Metric.BRIER: "Brier score",
    Metric.LOG_LOSS: "log-loss",
    Metric.ACCURACY: "accuracy",
    Metric.RMSE: "RMSE",
    Metric.MAE: "mean absolute error",
    Metric.DIFFERENCE: "largest difference of an output",
}


def summary(done: Optimisation) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return heads and rows of the table that compares the variants in a terminal."""
    study, rows = done.study, done.gate.rows
    heads = (
        "variant", str(study.metric), "lost (95 %)", "largest difference", "speed (95 %)",
        "p50 / p99 us", "size",
    )  # fmt: skip
    verdicts = {one.name: one.passed for one in done.choice.verdicts}
    told = [("original", f"{study.quality:.4f}", "-", "-", "-", *_latency_and_size(study.cost), "")]
    told += [
        (
            one.name,
            f"{one.quality:.4f}",
            _interval(one.loss, ".4f"),
            _apart(one),
            _interval(one.speedup[rows], ".2f"),
            *_latency_and_size(one.cost),
            "chosen" if one.name == done.choice.name else "pass" if verdicts[one.name] else "fail",
        )
        for one in study.variants
    ]
    return (*heads, "gate"), [tuple(row) for row in told]


def basis(done: Optimisation) -> str:
    """Return the sentence that says what the figures rest on."""
    study, gate = done.study, done.gate
    rows = f"{study.rows:,} held-out rows of {done.plan.dataset}"
    if study.made_up:
        rows = f"{study.rows:,} rows made up from the signature, because {study.made_up}"
    return (
        f"{TITLES[study.metric]} on {rows}; speed of requests of {gate.rows} row"
        f"{'' if gate.rows == 1 else 's'} in {study.rounds} interleaved rounds on this machine"
    )


def report(done: Optimisation) -> str:
    """Return the page."""
    study, version = done.study, done.plan.version.name
    return page(
        f"Variants of {version}",
        [
            paragraph(f"{basis(done)}.", kind="soft"),
            paragraph(_sentence(done.choice.because), kind="lead"),
            section(
                "Quality against latency",
                _trade_off(done),
                paragraph(
                    "Bars are 95 % confidence intervals. A variant must lie above the dashed line "
                    "with its whole bar."
                    if SCALES[study.metric].higher_is_better
                    else "Bars are 95 % confidence intervals. A variant must lie below the dashed "
                    "line with its whole bar.",
                    kind="soft",
                ),
            ),
            section("Speed beside the original", _speed(study.variants)),
            section("What the gate says", _verdicts(done)),
            section("Figures", _figures(done)),
            section("Not tried", _unsuited(done)),
            section("What was measured with", *_facts(done)),
        ],
    )


def _trade_off(done: Optimisation) -> str:
    study, gate = done.study, done.gate
    limit = _worse(done, gate.loss_max)
    passed = {one.name for one in done.choice.verdicts if one.passed}
    good = [_point(done, one) for one in study.variants if one.name in passed]
    bad = [_point(done, one) for one in study.variants if one.name not in passed]
    original = Point(
        x=_typical_us(study.cost, gate.rows),
        y=study.quality,
        name="original",
        detail=f"original: {study.quality:.4f}",
    )
    points = [original, *good, *bad]
    edges = [end for one in points for end in (one.x, *(one.x_range or ()))]
    series: list[Series] = [
        Line(
            label="least quality allowed",
            points=[(min(edges), limit), (max(edges), limit)],
            colour=4,
            dashed=True,
        ),
        Line(label="nothing is better and faster", points=_front(done, points), colour=5),
        Scatter(label="fails the gate", points=bad, colour=1),
        Scatter(label="passes", points=good, colour=2),
        Scatter(label="original", points=[original], diamond=True),
    ]
    unit = "a row" if gate.rows == 1 else f"a request of {gate.rows} rows"
    better = "higher" if SCALES[study.metric].higher_is_better else "lower"
    return plot(
        Axis(title=f"typical time of {unit}, microseconds (less is better)"),
        Axis(title=f"{TITLES[study.metric]} ({better} is better)"),
        [one for one in series if not isinstance(one, Scatter) or one.points],
    )


def _point(done: Optimisation, one: Variant) -> Point:
    rows = done.gate.rows
    original, speed = _typical_us(done.study.cost, rows), one.speedup[rows]
    return Point(
        x=original / speed.value,
        y=_worse(done, one.loss.value),
        name=one.name,
        detail=f"{one.name}: {one.about}; {_interval(speed, '.2f')} times as fast; lost "
        f"{_interval(one.loss, '.4f')}",
        x_range=(original / speed.high, original / speed.low),
        y_range=(_worse(done, one.loss.low), _worse(done, one.loss.high)),
    )


def _worse(done: Optimisation, loss: float) -> float:
    """Return the quality that is left after a loss."""
    study, kind = done.study, SCALES[done.study.metric]
    lost = loss * study.quality if kind.relative else loss
    return study.quality - lost if kind.higher_is_better else study.quality + lost


def _front(done: Optimisation, points: Sequence[Point]) -> list[tuple[float, float | None]]:
    """Return the points that no other one beats in both, from the fastest on (Pareto)."""
    sign = 1 if SCALES[done.study.metric].higher_is_better else -1
    best: list[tuple[float, float | None]] = []
    reached = float("-inf")
    for one in sorted(points, key=lambda one: (one.x, -sign * one.y)):
        if sign * one.y > reached:
            reached = sign * one.y
            best.append((one.x, one.y))
    return best


def _speed(variants: Sequence[Variant]) -> str:
    if not variants:
        return paragraph("No variant could be built.")
    series = [
        BarSeries(
            label=f"{rows} row{'' if rows == 1 else 's'} a request",
            bars=[_bar(one.speedup[rows]) for one in variants],
            colour=place,
        )
        for place, rows in enumerate(BATCHES)
    ]
    axis = Axis(title="times as fast as the original (1 is equally fast)")
    return bars(axis, [one.name for one in variants], series, line=1.0)


def _bar(speed: Estimate) -> Bar:
    return Bar(
        value=speed.value,
        range=(speed.low, speed.high),
        detail=f"{_interval(speed, '.2f')} times as fast",
    )


def _verdicts(done: Optimisation) -> str:
    about = {one.name: one.about for one in done.study.variants}
    rows = [
        (one.name, about[one.name], "passes" if one.passed else "fails", one.because)
        for one in done.choice.verdicts
    ]
    return table(("variant", "what it is", "gate", "because"), rows)


def _figures(done: Optimisation) -> str:
    study = done.study
    heads = (
        "variant", str(study.metric), "lost (95 %)", "largest difference",
        *(f"rows/s by {rows}" for rows in BATCHES), "p50, us", "p99, us", "memory", "size",
    )  # fmt: skip
    rows = [("original", f"{study.quality:.4f}", "", "", *_costs(study.cost))]
    rows += [
        (
            one.name,
            f"{one.quality:.4f}",
            _interval(one.loss, ".4f"),
            _apart(one),
            *_costs(one.cost),
        )
        for one in study.variants
    ]
    return table(heads, rows, figures=True)


def unsuited(done: Optimisation) -> list[tuple[str, str]]:
    """Return the variants that were not tried, those with the same reason together."""
    names: dict[str, list[str]] = {}
    for one in done.study.unsuited:
        names.setdefault(one.because, []).append(one.name)
    return [(", ".join(those), because) for because, those in names.items()]


def _unsuited(done: Optimisation) -> str:
    if not done.study.unsuited:
        return paragraph("Everything was tried.")
    return table(("variant", "because"), unsuited(done))


def _facts(done: Optimisation) -> Iterator[str]:
    study, gate = done.study, done.gate
    yield paragraph(
        f"{study.runtime} with one thread, as a worker runs it, on {study.processor}. "
        f"{study.training_rows:,} rows of the training part helped to make the variants; none of "
        f"them judged. Seed {study.seed}."
    )
    yield paragraph(
        f"The gate: at most {gate.loss_max:g} of {TITLES[study.metric]} lost at the upper end of "
        f"the interval, and {gate.faster_min:.0%} faster at the lower end, or "
        f"{gate.smaller_min:.0%} smaller and not slower. Of outputs that the metric does not look "
        f"at, {_others(gate)}."
    )


def _apart(one: Variant) -> str:
    """Return how far the answers are from the original's, over every output."""
    labels = f", {one.labels_changed:.2%} of labels" if one.labels_changed else ""
    return f"{one.largest_difference:.2g}{labels}"


def _others(gate: Gate) -> str:
    numbers = gate.loss_max if gate.metric is Metric.DIFFERENCE else gate.tolerance
    return (
        f"no number may differ by more than {numbers:g}, and no larger share of labels than "
        f"{gate.loss_max:g}"
    )


def _costs(cost: Cost) -> tuple[str, ...]:
    return (
        *(f"{cost.rows_per_s[rows]:,.0f}" for rows in BATCHES),
        f"{cost.latency_us_p50:.1f}",
        f"{cost.latency_us_p99:.1f}",
        "not measured" if cost.memory_bytes is None else show.size(cost.memory_bytes),
        show.size(cost.size_bytes),
    )


def _latency_and_size(cost: Cost) -> tuple[str, str]:
    latency = f"{cost.latency_us_p50:.1f} / {cost.latency_us_p99:.1f}"
    return latency, show.size(cost.size_bytes)


def _typical_us(cost: Cost, rows: int) -> float:
    return rows * MICROSECONDS / cost.rows_per_s[rows]


def _interval(one: Estimate, form: str) -> str:
    # Adding 0 makes of a loss that rounds to -0.0000 a plain 0.0000.
    low, value, high = (
        f"{round(bound, int(form[1])) + 0.0:{form}}" for bound in (one.low, one.value, one.high)
    )
    return f"{value} ({low} to {high})"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
