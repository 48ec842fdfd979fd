"""What the control process knows of what is watched, in figures that `GET /metrics` tells.

Every figure stands in `READINGS`. A label holds only what exists here: an endpoint, a deployment,
a column, a word of ours; never what a caller wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

OF_ENDPOINT: Final = ("endpoint",)
OF_DEPLOYMENT: Final = ("endpoint", "deployment")

WATCHED_AT: Final = "servewell_watch_timestamp_seconds"
DRIFT_PSI: Final = "servewell_drift_psi"
DRIFT_VERDICT: Final = "servewell_drift_verdict"
QUALITY: Final = "servewell_quality"
QUALITY_WORSE: Final = "servewell_quality_worse"
OBJECTIVE: Final = "servewell_objective_target_ratio"
BUDGET_LEFT: Final = "servewell_objective_budget_left_ratio"
BUDGET_SPENT: Final = "servewell_objective_budget_spent"
HEALTH: Final = "servewell_endpoint_health"
PARTS_WAITING: Final = "servewell_profile_parts_waiting"
ALERTS: Final = "servewell_alerts"
FAULTS: Final = "servewell_watch_faults"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingKind:
    """One family of figures, each of which may rise and fall."""

    name: str
    about: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One figure as it is now; its labels are those of its kind."""

    name: str
    labels: Mapping[str, str]
    value: float


READINGS: Final = (
    ReadingKind(
        name=WATCHED_AT,
        about="When the control process last told what it knows of what is watched, in seconds "
        "since the epoch; the figures that it tells are as old as that.",
    ),
    ReadingKind(
        name=DRIFT_PSI,
        about="How far a column of the newest window has moved from the reference: the population "
        "stability index, less what chance alone gives; not told of too few rows.",
        labels=(*OF_DEPLOYMENT, "side", "column"),
    ),
    ReadingKind(
        name=DRIFT_VERDICT,
        about="1 for the verdict on the newest window that holds, 0 for the others: `drift`, "
        "`watch`, `fine`, `cannot tell`.",
        labels=(*OF_DEPLOYMENT, "verdict"),
    ),
    ReadingKind(
        name=QUALITY,
        about="A metric of the newest window: `estimated` without labels, `realised` by labels, "
        "of that metric alone which the verdict is by, and that of the `reference`.",
        labels=(*OF_DEPLOYMENT, "metric", "kind"),
    ),
    ReadingKind(
        name=QUALITY_WORSE,
        about="1 where labels prove that a deployment predicts worse than its reference, else 0.",
        labels=OF_DEPLOYMENT,
    ),
    ReadingKind(
        name=OBJECTIVE,
        about="Share that an objective asks to be good, 0 to 1.",
        labels=(*OF_ENDPOINT, "objective"),
    ),
    ReadingKind(
        name=BUDGET_LEFT,
        about="Share of the error budget of an objective that is left: 1 where nothing is spent, "
        "0 where all is, below 0 where it is overspent.",
        labels=(*OF_ENDPOINT, "objective"),
    ),
    ReadingKind(
        name=BUDGET_SPENT,
        about="1 where the error budget of an objective is spent and chance alone does not explain "
        "it, else 0: a few bad requests of few say nothing.",
        labels=(*OF_ENDPOINT, "objective"),
    ),
    ReadingKind(
        name=HEALTH,
        about="1 for the state of health that holds, 0 for the others.",
        labels=(*OF_ENDPOINT, "state"),
    ),
    ReadingKind(
        name=PARTS_WAITING,
        about="Parts of the prediction log that are in no profile yet, 50 at most; the control "
        "process counts them within seconds.",
    ),
    ReadingKind(
        name=ALERTS,
        about="Alerts that are not resolved, by the state that they are in.",
        labels=(*OF_ENDPOINT, "severity", "state"),
    ),
    ReadingKind(
        name=FAULTS,
        about="1 where a source of these figures could not be read the last time, else 0: nothing "
        "is told of it then.",
        labels=("source",),
    ),
)
