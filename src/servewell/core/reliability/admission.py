"""Whether a request may still wait for a model, by how long it would wait."""

from dataclasses import dataclass
from math import ceil
from typing import Final

STANDING_S: Final = 0.1  # of work without a break, after which a queue counts as standing
BURST: Final = 4.0  # times longer may be waited in a queue that does not stand
MARGIN: Final = 0.8  # of the objective that is promised; the rest is for what is not foreseen
SHARES: Final = (1.0, 0.9, 0.5)  # of the wait that each rank may fill, high to low


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a request finds at a model. All times in seconds."""

    wait_s: float  # until those before it are done
    service_s: float  # that one call of the model takes, with the way there and back
    standing_s: float  # for which there was always something that waited or ran


def wait_max_s(objective_s: float, load: Load, *, rank: int) -> float:
    """Return the longest wait at which a request of this rank, 0..2, is still let in.

    What is controlled is the time spent in the queue, not its length, and a queue is bad only
    when it stands: a burst that is worked off does no harm, while a queue that never empties
    makes everybody late and serves nobody more. So where there has been work without a break for
    `STANDING_S`, as much may wait as can be answered within the objective, and else `BURST` times
    that. What runs counts as work: a call that takes all that waits leaves an empty queue, and
    says nothing about whether the model keeps up. Lower ranks may fill less, so that they are
    refused first.

    Sources: K. Nichols and V. Jacobson, "Controlling Queue Delay", ACM Queue 10 (5), 2012, and
    RFC 8289 (interval of 100 ms); B. Maurer, "Fail at Scale", ACM Queue 13 (8), 2015 (two limits,
    by whether the queue was empty of late). They drop from the head what has waited too long; here
    the wait is foreseen, because a request that is refused on arrival costs its caller nothing.
    """
    within_s = max(MARGIN * objective_s - load.service_s, load.service_s)
    burst = 1.0 if load.standing_s >= STANDING_S else BURST
    return SHARES[rank] * burst * within_s


def retry_after_s(drain_s: float, *, draw: float) -> int:
    """Return after how many whole seconds, at least one, a refused caller does well to come again.

    By then what waits now is done. The draw, 0..1, spreads the callers over as long again, so that
    they do not come back together (M. Brooker, "Exponential Backoff and Jitter", 2015).
    """
    whole = max(1, ceil(drain_s))
    return whole + round(draw * whole)
