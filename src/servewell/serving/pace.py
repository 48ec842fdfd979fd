"""How fast one model is in this worker, and what follows for its batches and its queue."""

from typing import Final

from servewell.core.catalog.endpoint import EndpointPolicy
from servewell.core.performance.latency_curve import LatencyCurve
from servewell.core.reliability.admission import SHARES, Load, wait_max_s
from servewell.serving.package import Package
from servewell.serving.runtimes.model import Stoppable

QUICK_S: Final = 0.002  # that a call on the loop may be expected to take
MODEL_SHARE: Final = 0.5  # of the latency objective that one call may take
NS_PER_S: Final = 1_000_000_000
MS_PER_S: Final = 1_000
LASTING: Final = float("inf")
WELL: Final = 64  # calls after which a model is known well,
EVERY: Final = 8  # and one of so many is learned from
SURPRISE: Final = 4  # times what was expected
SMOOTHING: Final = 0.2  # what one call in a thread teaches of its lag


class Pace:
    """What was learned of a model's time, and the bounds that it gives: worked out once a call."""

    __slots__ = (
        "_alone", "_aside", "_calls", "_policy", "calm_ns", "curve", "free_requests", "free_rows",
        "lag_s", "objective_s", "rows_together", "service_s",
    )  # fmt: skip

    def __init__(self, policy: EndpointPolicy, package: Package) -> None:
        self.curve, self._calls = LatencyCurve(), 0
        self.lag_s = 0.0  # between the loop and a thread, there and back
        for rows, cost_ns in package.latencies:  # of its warm-up
            self.curve = self.curve.observed(rows, cost_ns / NS_PER_S)
        self._alone = not package.batches
        # What waits for another process, or cannot be ended, never runs on the loop.
        self._aside = package.model.may_block or not isinstance(package.model, Stoppable)
        self.adopt(policy)

    def adopt(self, policy: EndpointPolicy) -> None:
        """Go on under another policy."""
        self._policy = policy
        self.objective_s = policy.latency_objective_ms / MS_PER_S
        self._plan()

    def learn(self, rows: int, cost_ns: int) -> None:
        """Take into account what a call of the model took.

        Of a model that is known well, each eighth call, and whatever took far longer than it did.
        Of calls that are not quick, each: to learn costs little beside them, and they are few.
        """
        self._calls += 1
        known = self._calls > WELL and self._calls % EVERY and cost_ns < QUICK_S * NS_PER_S
        if known and cost_ns < SURPRISE * self.curve.predicted_s(rows) * NS_PER_S:
            return
        self.curve = self.curve.observed(rows, cost_ns / NS_PER_S)
        self._plan()

    def learn_lag(self, lag_ns: int) -> None:
        """Take into account how long a call waited for its thread, and its outcome for the loop.

        That is time of the queue, too, and the more the loop has to do, the longer it is.
        """
        self.lag_s += SMOOTHING * (lag_ns / NS_PER_S - self.lag_s)

    def relearn(self, rows: int, cost_ns: int) -> None:
        """Forget what was known: a call took so much longer that it was ended."""
        self.curve, self._calls = LatencyCurve(), 0
        self.learn(rows, cost_ns)

    def separate(self) -> None:
        """Make no batches from now on: the model has shown that it takes none."""
        self._alone = True
        self._plan()

    def is_quick(self, rows: int) -> bool:
        """Whether so many rows may run on the loop. What is not known yet may not."""
        curve = self.curve
        return curve.known and not self._aside and curve.predicted_s(rows) <= QUICK_S

    def _plan(self) -> None:
        policy, curve = self._policy, self.curve
        rows = 1 if self._alone else policy.batch_rows_max
        if curve.known:
            rows = curve.rows_within(MODEL_SHARE * self.objective_s, rows_max=rows)
        self.rows_together = rows
        self.service_s = service_s = max(curve.predicted_s(rows), 0.0) + self.lag_s
        # With less than this nobody need look closer: even the lowest rank would be let in.
        standing = Load(wait_s=0.0, service_s=service_s, standing_s=LASTING)
        calm_s = wait_max_s(self.objective_s, standing, rank=len(SHARES) - 1)
        self.calm_ns = int((calm_s + service_s) * NS_PER_S)
        self.free_requests = int(SHARES[-1] * policy.queue_requests_max)
        self.free_rows = int((calm_s - service_s) / service_s * rows) if service_s else rows
