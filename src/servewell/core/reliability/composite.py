"""The availability of an endpoint together with what it depends on.

What a request needs all of multiplies; of parts of which any one will do, all have to fail. Both
take parts to fail independently of each other; parts that share a cause fail together, and then
any-one-will-do is worth less than is said here.

Source: The Calculus of Service Availability, Treynor, Dahlin, Rau and Beyer, ACM Queue 2017.
"""

import math
from collections.abc import Sequence

from servewell.core.catalog.objective import Objective, Part, PartShare, Tally, Whole


def whole_of(objective: Objective, parts: Sequence[Part]) -> Whole:
    """Return the availability of the whole, the best that is promised, and who spends the budget.

    `parts` are the endpoint itself and what it depends on; each is needed.

    Units:  shares in 0..1.
    Raises: nothing.
    """
    goods = [good_of(one) for one in parts]
    known = [one for one in goods if one is not None]
    good = math.prod(known) if len(known) == len(goods) else None
    possible = math.prod(promise_of(one) for one in parts)
    lost = sum(1.0 - one for one in known)
    shares = sorted(
        (
            PartShare(
                name=part.name,
                good=found,
                measured=_measured(part),
                share=(1.0 - found) / lost if found is not None and lost else 0.0,
            )
            for part, found in zip(parts, goods, strict=True)
        ),
        key=lambda one: -one.share,
    )
    return Whole(
        good=good,
        possible=possible,
        parts=tuple(shares),
        because=_because(objective, good, possible, shares),
    )


def good_of(part: Part) -> float | None:
    """Return the share of a part's events that were good; None where that is not known."""
    if not part.any_of:
        return part.good
    inner = [good_of(one) for one in part.any_of]
    known = [one for one in inner if one is not None]
    if not known:
        return None
    return 1.0 - math.prod(1.0 - one for one in known)


def tally_of(itself: Part, needed: Sequence[Part]) -> Tally:
    """Return the events of the whole: as many as were seen of the part that was asked least.

    So a part with ten requests proves no more than ten can. What is only promised by its owner
    counts as kept, and a part of which nothing was seen as good; an endpoint that nobody asks
    fails nobody.

    Raises: nothing.
    """
    if not itself.events:
        return Tally()
    seen = [one for one in (itself, *needed) if measured_on(one)]
    total = min(map(measured_on, seen))
    goods = [good_of(one) for one in seen]
    good = math.prod(1.0 if one is None else one for one in goods)
    return Tally(bad=total * (1.0 - good), total=total)


def measured_on(part: Part) -> float:
    """Return on how many events the share of a part was measured; 0 where it is only promised."""
    if not part.any_of:
        return part.events
    return min((found for one in part.any_of if (found := measured_on(one))), default=0.0)


def promise_of(part: Part) -> float:
    """Return the goal that a part is promised to keep; 1 where nothing is promised."""
    if not part.any_of:
        return 1.0 if part.goal is None else part.goal
    return 1.0 - math.prod(1.0 - promise_of(one) for one in part.any_of)


def _measured(part: Part) -> bool:
    return all(_measured(one) for one in part.any_of) if part.any_of else part.measured


def _because(
    objective: Objective, good: float | None, possible: float, shares: Sequence[PartShare]
) -> str:
    limit = (
        f"; its goal of {objective.goal * 100:.6g}% cannot be promised, as its parts together "
        f"promise {possible:.3%}"
        if objective.goal > possible
        else ""
    )
    if good is None:
        unknown = ", ".join(f"`{one.name}`" for one in shares if one.good is None)
        return f"nothing is known of {unknown}, so nothing is of the whole{limit}"
    first = shares[0]
    blame = f", {first.share:.0%} of what failed by `{first.name}`" if first.share else ""
    return f"{good:.3%} with all that it needs{blame}{limit}"
