"""Decide whether a model version may be deployed, from what was measured of it.

A bound is kept when the whole 95 % interval keeps it, and broken when the whole interval breaks it.
Between the two nothing is shown, and the row says *cannot tell*: with more rows it would.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from servewell.core.catalog.gate import GateRow, GateVerdict
from servewell.core.catalog.workload_gates import SECURITY, GateRules
from servewell.core.operations.gate_measures import (
    Behaved,
    Calibration,
    Contrast,
    Facts,
    Gap,
    Interval,
    Measures,
    Slice,
    Speed,
    Spoiled,
)

MARGINS: Final = {"auc": 0.01, "accuracy": 0.01, "brier": 0.005}
MARGIN: Final = 0.02  # of every other metric
SLICE_MARGINS: Final = 5.0  # times the margin of all rows
RATIO_TOLD: Final = 2.0  # of latency, that is worth a look where no bound is declared
NAMED_MAX: Final = 3  # rows that the verdict names
QUALITY: Final = "quality"
CONTENTS: Final = "contents of the package"

PASS, FAIL, CANNOT_TELL = GateVerdict.PASS, GateVerdict.FAIL, GateVerdict.CANNOT_TELL


def decide(rules: GateRules, measures: Measures, facts: Facts) -> tuple[GateRow, ...]:
    """Return every row of the report, in the order of the groups.

    Units:  intervals are of 95 %; a loss is in the unit of the metric, above 0 for worse, and for
            `rmse` and `mae` a share of the champion's value; times in milliseconds; sizes in bytes.
    Raises: nothing. What could not be measured is a row that cannot be told.
    """
    measured = (
        *_quality(rules, measures, facts),
        *_slices(rules, measures),
        *_fairness(rules, measures),
        *_calibration(rules, measures),
        *(row for one in measures.robustness for row in _robustness(rules, one, measures)),
        *map(_behaviour, measures.behaviour),
        *_speed(rules, measures.speed, facts),
        *without_measures(rules, facts),
        *_scan(measures),
    )
    bound = tuple(
        replace(one, required=one.required and rules.requires(one.group)) for one in measured
    )
    return (*_data(rules, facts), *bound)


def without_measures(rules: GateRules, facts: Facts) -> tuple[GateRow, ...]:
    """Return the rows that need no job: equivalence, signatures and size."""
    return (_equivalence(facts), *_fit(facts), *_size(rules, facts), _signature(facts))


def not_measured(rules: GateRules, facts: Facts, why: str) -> tuple[GateRow, ...]:
    """Return the rows of a version whose measuring came to nothing."""
    row = GateRow(group="quality", gate="measuring", verdict=CANNOT_TELL, because=why)
    contents = GateRow(
        group=SECURITY, gate=CONTENTS, verdict=CANNOT_TELL, because="it was not looked through"
    )
    return (*_data(rules, facts), row, *without_measures(rules, facts), contents)


def verdict_of(rows: Sequence[GateRow]) -> tuple[GateVerdict, str]:
    """Return what a report says, and why.

    It fails where a required row fails; else it cannot be told where a required row cannot; else it
    passes. Rows that are not required change nothing.
    """
    for verdict in (FAIL, CANNOT_TELL):
        those = [one for one in rows if one.required and one.verdict is verdict]
        if those:
            return verdict, _named(those)
    required = sum(one.required for one in rows)
    told = [one for one in rows if not one.required and one.verdict is FAIL]
    advice = f"; of those that only advise, {_gates(len(told))} would fail" if told else ""
    unknown = any(one.gate == QUALITY and one.verdict is CANNOT_TELL for one in rows)
    quality = "; its quality is unknown: no rows" if unknown else ""
    return PASS, f"all {_gates(required)} that are required pass{advice}{quality}"


def at_most(found: Interval, bound: float) -> GateVerdict:
    """Return whether a value is shown to be at most a bound."""
    if found.high <= bound:
        return PASS
    return FAIL if found.low > bound else CANNOT_TELL


def at_least(found: Interval, bound: float) -> GateVerdict:
    """Return whether a value is shown to be at least a bound."""
    if found.low >= bound:
        return PASS
    return FAIL if found.high < bound else CANNOT_TELL


def margin_of(rules: GateRules, metric: str) -> float:
    """Return how much of a metric may be lost against the champion."""
    return MARGINS.get(metric, MARGIN) if rules.margin is None else rules.margin


def _named(rows: Sequence[GateRow]) -> str:
    said = "; ".join(f"{_name(one)}: {one.because}" for one in rows[:NAMED_MAX])
    more = len(rows) - NAMED_MAX
    return f"{said}; and {_gates(more)} more" if more > 0 else said


def _name(row: GateRow) -> str:
    return f"{row.gate} ({row.slice})" if row.slice else row.gate


def _gates(count: int) -> str:
    return "one gate" if count == 1 else f"{count} gates"


def _data(rules: GateRules, facts: Facts) -> Iterator[GateRow]:
    for one in facts.data:
        yield replace(one, required=one.required and rules.requires(one.group))


def _quality(rules: GateRules, measures: Measures, facts: Facts) -> Iterator[GateRow]:
    found = measures.quality
    if found is None:
        why = measures.no_metric or "the metric cannot be computed of these rows"
        # A workload that names no rows has nothing to be judged by, and says so by that.
        yield GateRow(
            group="quality",
            gate=QUALITY,
            verdict=CANNOT_TELL,
            because=why,
            rows=measures.rows if not measures.made_up else 0,
            required=facts.has_rows,
        )
        return
    yield _level(rules, measures, found)
    yield _against_champion(rules, measures, facts)


def _level(rules: GateRules, measures: Measures, found: Contrast) -> GateRow:
    row = GateRow(
        group="quality",
        gate=measures.metric,
        verdict=PASS,
        because="no least quality is declared",
        bound=rules.least,
        unit=measures.metric,
        rows=found.rows,
    )
    row = _of(row, found.candidate)
    if rules.least is None:
        return row
    if found.counted < rules.rows_min:
        return replace(row, verdict=CANNOT_TELL, because=_few(found, rules))
    if measures.higher_is_better:
        return _bounded(row, at_least(found.candidate, rules.least), "at least")
    return _bounded(row, at_most(found.candidate, rules.least), "at most")


def _against_champion(rules: GateRules, measures: Measures, facts: Facts) -> GateRow:
    found, bound = measures.quality, margin_of(rules, measures.metric)
    row = GateRow(
        group="quality",
        gate=f"{measures.metric} against the champion",
        verdict=PASS,
        because="there is no champion to compare with",
        bound=bound,
        unit=_lost(measures),
        rows=measures.rows,
    )
    if facts.champion is None:
        return row
    if found is None or found.loss is None:
        why = measures.no_champion or "the metric cannot be computed of these rows"
        return replace(
            row, verdict=CANNOT_TELL, because=f"{facts.champion} cannot be compared: {why}"
        )
    row = _of(row, found.loss)
    if found.counted < rules.rows_min:
        return replace(row, verdict=CANNOT_TELL, because=_few(found, rules))
    return _loss(row, found.loss, bound)


def _loss(row: GateRow, loss: Interval, bound: float) -> GateRow:
    """Say of a loss whether it keeps to its bound."""
    found = f"is {_worse(loss.value)} ({_worse(loss.low)} to {_worse(loss.high)})"
    verdict = at_most(loss, bound)
    match verdict:
        case GateVerdict.PASS:
            because = f"{found}, no more than {bound:g} worse"
        case GateVerdict.FAIL:
            because = f"{found}, surely more than {bound:g} worse"
        case _:
            because = f"{found}; at most {bound:g} worse may be: too few rows to tell"
            because += _more(loss, bound)
    return replace(row, verdict=verdict, because=because)


def _worse(loss: float) -> str:
    return f"{_number(abs(loss))} {'worse' if loss >= 0 else 'better'}"


def _bounded(row: GateRow, verdict: GateVerdict, words: str, *, counted: str = "rows") -> GateRow:
    """Say of a value with its interval, which rests on what was counted, whether it keeps to it."""
    assert row.value is not None  # noqa: S101 - such a row has a value and a bound
    assert row.bound is not None  # noqa: S101 - as above
    found = Interval(value=row.value, low=row.low or 0.0, high=row.high or 0.0)
    interval = f"is {_number(found.value)} ({_number(found.low)} to {_number(found.high)})"
    asked = f"{words} {row.bound:g} is asked for"
    more = f": too few {counted} to tell{_more(found, row.bound)}"
    told = more if verdict is CANNOT_TELL else ""
    return replace(row, verdict=verdict, because=f"{interval}, {asked}{told}")


def _more(found: Interval, bound: float) -> str:
    """Return how many times as many rows would tell, by the width of an interval.

    A width shrinks with the root of the rows.
    """
    apart = abs(found.value - bound)
    half = (found.high - found.low) / 2
    if not apart or half <= apart:
        return ""
    return f", about {(half / apart) ** 2:,.1f} times as many would"


def _slices(rules: GateRules, measures: Measures) -> Iterator[GateRow]:
    margin = rules.slice_margin
    if margin is None:
        margin = SLICE_MARGINS * margin_of(rules, measures.metric)
    for one in measures.slices:
        yield _slice(rules, measures, one, margin)


def _slice(rules: GateRules, measures: Measures, one: Slice, margin: float) -> GateRow:
    row = GateRow(
        group="slices",
        gate=f"{measures.metric} of a group",
        verdict=PASS,
        because="there is no champion to compare with",
        rows=one.rows,
        slice=f"{one.column} = {one.group}",
        unit=measures.metric,
    )
    if one.rows < rules.rows_min:
        return replace(row, verdict=CANNOT_TELL, because=_too_few(one.rows, rules))
    if one.contrast is None:
        return replace(row, verdict=CANNOT_TELL, because=one.why_none)
    if one.contrast.counted < rules.rows_min:
        return replace(row, verdict=CANNOT_TELL, because=_few(one.contrast, rules))
    if one.contrast.loss is None:
        return _of(row, one.contrast.candidate)
    lost = replace(_of(row, one.contrast.loss), bound=margin, unit=_lost(measures))
    return _loss(
        replace(lost, gate=f"{measures.metric} of a group against the champion"),
        one.contrast.loss,
        margin,
    )


def _fairness(rules: GateRules, measures: Measures) -> Iterator[GateRow]:
    for column in rules.fairness:
        found = [one for one in measures.fairness if one.column == column]
        if not found:
            why = measures.no_metric or f"the data has no column `{column}`"
            yield GateRow(
                group="fairness",
                gate=f"groups of {column}",
                verdict=CANNOT_TELL,
                because=why,
                bound=rules.fairness[column].gap_max,
            )
        for one in found:
            yield _gap(rules, one)


def _gap(rules: GateRules, one: Gap) -> GateRow:
    bound = rules.fairness[one.column].gap_max
    row = GateRow(
        group="fairness",
        gate=f"{one.measure.replace('_', ' ')} by {one.column}",
        verdict=CANNOT_TELL,
        because=one.why_none or "fewer than two groups have enough rows: " + _groups(one),
        bound=bound,
        unit="share",
        rows=sum(rate.rows for rate in one.rates),
    )
    if one.gap is None:
        return row
    highest = max(one.rates, key=lambda rate: rate.value)
    lowest = min(one.rates, key=lambda rate: rate.value)
    row = replace(_of(row, one.gap), slice=f"{highest.group} and {lowest.group}")
    row = _bounded(row, at_most(one.gap, bound), "at most")
    rates = f"{highest.group} has {_number(highest.value)}, {lowest.group} {_number(lowest.value)}"
    left_out = f"; too few rows: {_groups(one)}" if one.left_out else ""
    return replace(row, because=f"{rates}; the gap {row.because}{left_out}")


def _groups(one: Gap) -> str:
    told = ", ".join(f"{rate.group} ({rate.rows:,})" for rate in one.left_out[:NAMED_MAX])
    return told or "there is no other group"


def _calibration(rules: GateRules, measures: Measures) -> Iterator[GateRow]:
    found = measures.calibration
    if found is None:
        return
    bound = rules.calibration_error_max
    row = GateRow(
        group="calibration",
        gate="expected calibration error",
        verdict=CANNOT_TELL,
        because=_too_few(found.rows, rules),
        bound=bound,
        unit="probability",
        rows=found.rows,
    )
    row = _of(row, found.error)
    if found.rows >= rules.rows_min:
        row = _bounded(row, at_most(found.error, bound), "at most")
    yield row
    yield _brier(found)


def _brier(found: Calibration) -> GateRow:
    row = GateRow(
        group="calibration",
        gate="Brier score",
        verdict=PASS,
        because="it is told for comparison, and nothing is asked of it",
        unit="squared probability",
        rows=found.rows,
        required=False,
    )
    return _of(row, found.brier)


def _robustness(rules: GateRules, one: Spoiled, measures: Measures) -> Iterator[GateRow]:
    share = one.failed / max(one.rows, 1)
    said = f"{one.failed:,} of {one.rows:,} rows got no answer, or none that is a number"
    yield GateRow(
        group="robustness",
        gate=f"answers to {one.kind}",
        verdict=FAIL if one.failed else PASS,
        because=f"{one.about}: {said if one.failed else f'all {one.rows:,} rows got an answer'}",
        value=share,
        bound=0.0,
        unit="share without an answer",
        rows=one.rows,
    )
    if one.moved is not None:
        bound = rules.robustness.moved_max
        yield GateRow(
            group="robustness",
            gate=f"answers that move with {one.kind}",
            verdict=PASS if one.moved <= bound else FAIL,
            because=f"{one.about}: {one.moved:.1%} of the answers moved, at most {bound:.1%} may",
            value=one.moved,
            bound=bound,
            unit="share",
            rows=one.rows,
        )
    if one.loss is not None:
        row = GateRow(
            group="robustness",
            gate=f"{measures.metric} with {one.kind}",
            verdict=PASS,
            because="",
            bound=rules.robustness.loss_max,
            unit=_lost(measures, beside="the rows as they are"),
            rows=one.rows,
        )
        lost = _loss(_of(row, one.loss), one.loss, rules.robustness.loss_max)
        yield replace(lost, because=f"{one.about}: {lost.because}")


def _behaviour(one: Behaved) -> GateRow:
    share = one.held / max(one.rows, 1)
    row = GateRow(
        group="behaviour",
        gate=one.name,
        verdict=CANNOT_TELL,
        because=f"{one.about}: there are no rows to try it on",
        value=share,
        bound=one.share_min,
        unit="share that holds",
        rows=one.rows,
    )
    if not one.rows:
        return row
    held = "holds" if one.held else "does not hold"
    if one.rows > 1:
        held = f"holds for {one.held:,} of {one.rows:,} rows, {one.share_min:.0%} are asked for"
    if share >= one.share_min:
        return replace(row, verdict=PASS, because=f"{one.about}: {held}")
    worst = f"; {one.worst}" if one.worst else ""
    return replace(row, verdict=FAIL, because=f"{one.about}: {held}{worst}")


def _equivalence(facts: Facts) -> GateRow:
    difference, tolerance = facts.equivalence_difference, facts.equivalence_tolerance
    row = GateRow(
        group="equivalence",
        gate="served answers are the trained model's",
        verdict=PASS,
        because="it came ready made: nothing was converted",
        bound=tolerance,
        unit="largest difference",
        rows=facts.equivalence_rows,
    )
    if not facts.equivalence_rows:
        return row
    row = replace(row, value=difference)
    if facts.optimised:
        because = f"a variant of {facts.optimised}, let through by the gate of its optimisation"
        return replace(row, because=because)
    if difference <= tolerance:
        return replace(
            row, because=f"differs by at most {difference:.2g}, {tolerance:g} is allowed"
        )
    because = f"differs by {difference:.2g}, more than the {tolerance:g} that is allowed"
    return replace(row, verdict=FAIL, because=because)


def _fit(facts: Facts) -> Iterator[GateRow]:
    """Yield whether those who call the champion can call the version without a change of theirs."""
    if facts.champion is not None:
        yield GateRow(
            group="signature",
            gate="signature beside the one that serves",
            verdict=FAIL if facts.misfits else PASS,
            because="; ".join(facts.misfits) or f"it is called as {facts.champion} is",
        )


def _speed(rules: GateRules, found: Speed | None, facts: Facts) -> Iterator[GateRow]:
    if found is None:
        because = "it does not answer the rows, so that its time cannot be measured"
        yield GateRow(group="latency", gate="time of one row", verdict=CANNOT_TELL, because=because)
        return
    budget = facts.latency_objective_ms if rules.latency_ms is None else rules.latency_ms
    kept = found.p99_ms <= budget
    yield GateRow(
        group="latency",
        gate="time of one row",
        verdict=PASS if kept else FAIL,
        because=f"99 of 100 calls took at most {found.p99_ms:.3g} ms on this machine, "
        f"{'within' if kept else 'more than'} the {budget:g} ms allowed",
        value=found.p99_ms,
        bound=budget,
        unit="ms",
        rows=found.calls,
    )
    if found.ratio is not None:
        yield _ratio(rules, found, found.ratio)
    yield _memory(rules, found, facts)


def _ratio(rules: GateRules, found: Speed, ratio: Interval) -> GateRow:
    bound = RATIO_TOLD if rules.latency_ratio_max is None else rules.latency_ratio_max
    row = GateRow(
        group="latency",
        gate="time of one row against the champion",
        verdict=PASS,
        because="",
        bound=bound,
        unit="times as long",
        rows=found.calls,
        required=rules.latency_ratio_max is not None,
    )
    return _bounded(_of(row, ratio), at_most(ratio, bound), "at most", counted="calls")


def _memory(rules: GateRules, found: Speed, facts: Facts) -> GateRow:
    declared = rules.memory_bytes_max
    bound = facts.memory_bytes_max if declared is None else declared
    row = GateRow(
        group="memory",
        gate="memory of a process that serves it",
        verdict=PASS,
        because="no bound is declared",
        value=None if found.memory_bytes is None else float(found.memory_bytes),
        bound=None if bound is None else float(bound),
        unit="bytes",
    )
    if found.memory_bytes is None:
        return replace(row, verdict=CANNOT_TELL, because="it could not be measured here")
    return row if bound is None else _within(row, found.memory_bytes, bound)


def _size(rules: GateRules, facts: Facts) -> Iterator[GateRow]:
    before = facts.champion_size_bytes
    beside = f"; the champion has {before:,} bytes" if before is not None else ""
    row = GateRow(
        group="size",
        gate="size on the disk",
        verdict=PASS,
        because=f"no bound is declared{beside}",
        value=float(facts.size_bytes),
        bound=None if rules.size_bytes_max is None else float(rules.size_bytes_max),
        unit="bytes",
    )
    bound = rules.size_bytes_max
    yield row if bound is None else _within(row, facts.size_bytes, bound)


def _within(row: GateRow, taken: int, bound: int) -> GateRow:
    kept = taken <= bound
    words = "within" if kept else "more than"
    because = f"{taken:,} bytes, {words} the {bound:,} allowed"
    return replace(row, verdict=PASS if kept else FAIL, because=because)


def _signature(facts: Facts) -> GateRow:
    because = "signed with the key of this home"
    return GateRow(
        group=SECURITY,
        gate="signature of the package",
        verdict=PASS if facts.signed else FAIL,
        because=because if facts.signed else f"it is not {because}",
    )


def _scan(measures: Measures) -> Iterator[GateRow]:
    if measures.scanned:
        found = "; ".join(measures.scan[:NAMED_MAX])
        yield GateRow(
            group=SECURITY,
            gate=CONTENTS,
            verdict=FAIL if measures.scan else PASS,
            because=found or f"{measures.scanned}: nothing that may not be there",
        )


def _lost(measures: Measures, *, beside: str = "the champion's") -> str:
    if measures.relative:
        return f"{measures.metric} lost, as a share of {beside}"
    return f"{measures.metric} lost"


def _few(found: Contrast, rules: GateRules) -> str:
    if found.rarer is None or found.rows < rules.rows_min:
        return _too_few(found.rows, rules)
    return (
        f"{found.rarer:,} rows of the rarer class are too few: "
        f"at least {-(-rules.rows_min // 2):,} are asked for"
    )


def _too_few(rows: int, rules: GateRules) -> str:
    return f"{rows:,} rows are too few: at least {rules.rows_min:,} are asked for"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.4f}"  # noqa: PLR2004 - small ones in full


def _of(row: GateRow, found: Interval) -> GateRow:
    return replace(row, value=found.value, low=found.low, high=found.high)


def groups_of(rows: Iterable[GateRow]) -> dict[str, list[GateRow]]:
    """Return the rows by their groups, in the order in which those first appear."""
    found: dict[str, list[GateRow]] = {}
    for one in rows:
        found.setdefault(one.group, []).append(one)
    return found
