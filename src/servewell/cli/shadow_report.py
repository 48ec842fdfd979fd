"""How a shadow compares: in words, as a page with plots, and as JSON."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.page import page, paragraph, section, table
from servewell.charts.svg import Axis
from servewell.cli.show import moment
from servewell.core.catalog.comparison import Comparison, Example, Slice
from servewell.core.operations.distribution_shift import corrected_psi
from servewell.core.operations.row_difference import DIFFERENCES
from servewell.core.operations.shadowing import Shown
from servewell.core.operations.traffic import percent
from servewell.core.operations.wilson import interval

SLICES_SHOWN: Final = 12
SLICE_ROWS_MIN: Final = 10
EXAMPLES_SHOWN: Final = 5  # in the terminal
INPUTS_SHOWN: Final = 6  # of an example, in the terminal
ALIKE_BELOW: Final = 0.1  # PSI; the usual bounds of credit scoring, as is the next
SHIFTED_FROM: Final = 0.25
BAR_CHARS: Final = 30
Rows = list[tuple[str, ...]]
Named = Mapping[str, object]


def lead(shown: Shown) -> str:
    """Return the one sentence that matters."""
    told, who = shown.comparison, f"`{shown.deployment}` ({shown.version})"
    if told.disagreement is None:
        reason = "no copy of a request has been compared yet"
        failed = f", and {who} failed on {told.failed:,}" if told.failed else ""
        return f"Nothing can be said of {who} yet: {reason}{failed}."
    low, high = interval(told.differing, told.rows)
    return (
        f"{who} answers {told.disagreement:.2%} of {told.rows:,} rows differently "
        f"(95 % interval {low:.2%} to {high:.2%}): by more than {shown.difference_max:g}, or with "
        "another label."
    )


def facts(shown: Shown) -> Rows:
    """Return what was compared and how it went, each with its name."""
    told = shown.comparison
    return [
        ("copied", f"{percent(shown.share_bp)} of the requests"),
        ("since (UTC)", moment(shown.began_at)),
        ("ended (UTC)", "it goes on" if shown.ended_at is None else moment(shown.ended_at)),
        ("compared", f"{told.requests:,} requests, {told.rows:,} rows{_thinned(told)}"),
        ("differ", f"{told.differing:,} rows, {told.changed:,} of them by their label"),
        ("largest difference", f"{told.largest:.4g}"),
        ("outputs", _shift(told)),
        ("model's time", _times(told)),
        ("failed", _failures(told)),
        ("not compared", _lost(told)),
    ]


def differences(told: Comparison) -> list[tuple[str, int]]:
    """Return how many rows differ by how much, from the first bin that has any to the last."""
    names = ["none", *(f"up to {end:g}" for end in DIFFERENCES[1:]), f"over {DIFFERENCES[-1]:g}"]
    filled = [place for place, count in enumerate(told.differences) if count]
    if not filled:
        return []
    span = slice(0, filled[-1] + 1)
    return list(zip(names[span], told.differences[span], strict=True))


def worst_slices(told: Comparison) -> list[tuple[str, Slice]]:
    """Return the slices that differ most often, those first of which that is surest."""
    found = [
        (f"{name} = {value}", one)
        for name, values in told.slices.items()
        for value, one in values.items()
        if one.rows >= SLICE_ROWS_MIN
    ]
    found.sort(key=lambda pair: interval(pair[1].differing, pair[1].rows)[0], reverse=True)
    return found[:SLICES_SHOWN]


def lines(shown: Shown) -> Iterator[str]:
    """Yield what a person reads in a terminal."""
    told = shown.comparison
    yield lead(shown)
    yield ""
    yield from (f"{name:<20}{value}" for name, value in facts(shown))
    if any(told.differences):
        yield "\nDifference of the outputs, in rows"
        yield from _bars(differences(told))
    if slices := worst_slices(told):
        yield "\nWhere they differ most"
        rows = [(name, *_shares(one)) for name, one in slices]
        yield from _columns(("slice", "rows", "differ", "95 % interval"), rows)
    if told.examples:
        yield "\nRows that differ most"
        for one in told.examples[:EXAMPLES_SHOWN]:
            yield f"{one.prediction_id} row {one.row}: {_answers(one)}"
            yield f"    {_named(dict(list(one.inputs.items())[:INPUTS_SHOWN]))}"


def document(shown: Shown) -> dict[str, Any]:
    """Return the comparison for programs; what waits for its counterpart is only counted."""
    told = shown.comparison
    compared = asdict(told) | {"waiting": len(told.waiting), "early": len(told.early)}
    compared["disagreement"] = told.disagreement
    compared["disagreement_interval"] = interval(told.differing, told.rows)
    compared["output_psi"] = _psi(told)
    compared["model_time_ratio"] = _ratio(told)
    compared["difference_bins"] = DIFFERENCES
    return asdict(shown) | {"comparison": compared}


def page_of(shown: Shown) -> str:
    """Return the page."""
    told = shown.comparison
    return page(
        f"{shown.endpoint}: {shown.version} as a shadow",
        [
            paragraph(lead(shown), kind="lead"),
            table(("", ""), facts(shown)),
            *_drawn_differences(told),
            *_drawn_scores(told),
            *_drawn_slices(told),
            *_shown_examples(told),
        ],
    )


def _drawn_differences(told: Comparison) -> Iterator[str]:
    found = differences(told)
    if found:
        drawn = [Bar(value=count, detail=f"{name}: {count:,} rows") for name, count in found]
        names = [name for name, _ in found]
        axis = Axis(title="rows")
        remark = "The largest difference of any number in a row; a changed text is no difference."
        yield section(
            "By how much the answers differ",
            bars(axis, names, [BarSeries(label="rows", bars=drawn)]),
            paragraph(remark, kind="soft"),
        )


def _drawn_scores(told: Comparison) -> Iterator[str]:
    live, shadow = told.scores.stable, told.scores.candidate
    if not sum(live) or not sum(shadow):
        return
    series = [
        BarSeries(label=label, bars=[Bar(value=one / sum(counts)) for one in counts], colour=colour)
        for label, counts, colour in (("live", live, 0), ("shadow", shadow, 1))
    ]
    remark = (
        f"They are {_shift(told)}. The bins are tenths of the first live outputs, or their values."
    )
    yield section(
        "How the outputs are distributed",
        bars(Axis(title="share of the rows"), _bin_names(told), series),
        paragraph(remark, kind="soft"),
    )


def _bin_names(told: Comparison) -> list[str]:
    edges = told.scores.edges
    if told.scores.exact:
        return [*(f"{edge:.6g}" for edge in edges), "any other"]
    return [*(f"up to {edge:.3g}" for edge in edges), f"over {edges[-1]:.3g}"]


def _drawn_slices(told: Comparison) -> Iterator[str]:
    found = worst_slices(told)
    if not found:
        return
    drawn = [
        Bar(
            value=one.differing / one.rows,
            range=interval(one.differing, one.rows),
            detail=f"{name}: {one.differing:,} of {one.rows:,} rows",
        )
        for name, one in found
    ]
    overall = told.disagreement or 0.0
    yield section(
        "Where they differ most",
        bars(
            Axis(title="share of the rows that differ"),
            [name for name, _ in found],
            [BarSeries(label="rows that differ", bars=drawn, colour=1)],
            line=overall,
        ),
        paragraph(
            f"Whiskers are 95 % intervals; the dashed line is all rows, {overall:.2%}. "
            f"Slices of at least {SLICE_ROWS_MIN} rows, by inputs that are texts with few values.",
            kind="soft",
        ),
    )


def _shown_examples(told: Comparison) -> Iterator[str]:
    if told.examples:
        heads = ("prediction", "row", "live", "shadow", "inputs")
        rows = [
            (
                one.prediction_id,
                str(one.row),
                _named(one.live),
                _named(one.shadow),
                _named(one.inputs),
            )
            for one in told.examples
        ]
        remark = "Changed labels first, then by the difference. A personal input is a token."
        yield section("Rows that differ most", table(heads, rows), paragraph(remark, kind="soft"))


def _thinned(told: Comparison) -> str:
    return f" (one of {2**told.thinning} copies, to bound what waits)" if told.thinning else ""


def _shift(told: Comparison) -> str:
    psi = _psi(told)
    if psi is None:
        return "too few to say how they are distributed"
    words = "distributed alike"
    if psi >= ALIKE_BELOW:
        words = (
            "distributed somewhat differently" if psi < SHIFTED_FROM else "distributed otherwise"
        )
    return f"{words}: PSI {psi:.3f}, less what chance gives"


def _psi(told: Comparison) -> float | None:
    live, shadow = told.scores.stable, told.scores.candidate
    return corrected_psi(live, shadow) if sum(live) and sum(shadow) else None


def _times(told: Comparison) -> str:
    ratio = _ratio(told)
    if ratio is None:
        return "-"
    return (
        f"live {told.live_ms.mean:.3g} ms, shadow {told.shadow_ms.mean:.3g} ms on average; "
        f"typically {ratio[0]:.2f} times (95 % interval {ratio[1]:.2f} to {ratio[2]:.2f})"
    )


def _ratio(told: Comparison) -> tuple[float, float, float] | None:
    """Return the geometric mean of shadow over live, with its 95 % interval."""
    one = told.ratio_ln
    if one.n < 2:  # noqa: PLR2004 - a spread needs two
        return None
    reach = 1.96 * math.sqrt(one.squares / (one.n - 1) / one.n)
    return math.exp(one.mean), math.exp(one.mean - reach), math.exp(one.mean + reach)


def _failures(told: Comparison) -> str:
    if not told.failed:
        return "on no copy"
    codes = ", ".join(f"{count:,} with {code}" for code, count in told.failures.items())
    low, high = interval(told.failed, told.failed + told.requests)
    return f"on {told.failed:,} copies ({codes}); 95 % interval {low:.2%} to {high:.2%}"


def _lost(told: Comparison) -> str:
    counts = (
        (told.never_ran, "copies were dropped or not answered"),
        (told.unmatched, "answers found no live record"),
        (told.incomparable, "requests had no output in common"),
        (told.missing, "records were gone"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing"


def _shares(one: Slice) -> tuple[str, str, str]:
    low, high = interval(one.differing, one.rows)
    return f"{one.rows:,}", f"{one.differing / one.rows:.1%}", f"{low:.1%} to {high:.1%}"


def _answers(one: Example) -> str:
    return f"live {_named(one.live)}; shadow {_named(one.shadow)}"


def _named(values: Named) -> str:
    return "  ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: object) -> str:
    if isinstance(value, list):
        return "[" + " ".join(map(_short, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _bars(found: Sequence[tuple[str, int]]) -> Iterator[str]:
    most = max(count for _, count in found)
    for name, count in found:
        yield f"{name:<14}{'█' * round(BAR_CHARS * count / most):<{BAR_CHARS}} {count:,}"


def _columns(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
