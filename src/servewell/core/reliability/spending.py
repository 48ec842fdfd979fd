"""What a budget was spent by, and when."""

from collections.abc import Iterable, Mapping, Sequence

from servewell.core.catalog.objective import DAY_S, Spending, Tally
from servewell.core.catalog.series import Sample


def spent_by(parts: Mapping[str, Sequence[Sample]], period: Tally) -> tuple[Spending, ...]:
    """Return the bad events by deployment, most first; the last word of a name is the deployment.

    Raises: nothing.
    """
    found = (
        (name.rsplit("/", 1)[-1], sum(one.total for one in samples))
        for name, samples in parts.items()
    )
    return tuple(
        Spending(by=by, bad=bad, share=min(bad / period.bad, 1.0))
        for by, bad in sorted(found, key=lambda one: -one[1])
        if bad and period.bad
    )


def by_day(
    bad: Sequence[Sample], total: Sequence[Sample], *less: Sequence[Sample], weighs: bool
) -> tuple[tuple[float, float | None], ...]:
    """Return the share of bad events of each day (UTC), oldest first; None where there was none.

    With `weighs` there are as many events as the samples of `total` weigh.
    """
    bads = _days((one.start, one.total) for one in bad)
    totals = _days((one.start, one.weight if weighs else one.total) for one in total)
    for other in less:
        for day, count in _days((one.start, one.total) for one in other).items():
            totals[day] = totals.get(day, 0.0) - count
    if not totals:
        return ()
    first, last = min(totals), max(totals)
    days = [first + at * DAY_S for at in range(int((last - first) // DAY_S) + 1)]
    return tuple((day, _share(bads.get(day, 0.0), totals.get(day, 0.0))) for day in days)


def _days(found: Iterable[tuple[int, float]]) -> dict[float, float]:
    days: dict[float, float] = {}
    for start, count in found:
        day = start // DAY_S * DAY_S
        days[day] = days.get(day, 0.0) + count
    return days


def _share(bad: float, total: float) -> float | None:
    return min(bad / total, 1.0) if total > 0 else None
