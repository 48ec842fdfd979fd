"""What makes an estimate doubtful, what bears it out, and what says too little."""

from dataclasses import replace

import pytest

from servewell.core.catalog.loss_watch import Cut
from servewell.core.catalog.profile import EVERYTHING, WindowProfile
from servewell.core.catalog.quality import Figure, Trust
from servewell.core.catalog.quality_reference import Cell, QualityReference, Task
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.cbpe import ACCURACY, BRIER, RECALL
from servewell.core.operations.monitoring.quality_evidence import Says, shown_by
from servewell.core.operations.monitoring.quality_trust import Grounds, Verdict, trust
from servewell.core.operations.monitoring.quality_window import DAY_S, Facts, Span, Told, Window

WEEK = 7 * DAY_S
RULES = QualityRules()
NEWARK = "origin=EWR"
HELD = {
    BRIER: Figure(value=0.155, low=0.153, high=0.157),
    ACCURACY: Figure(value=0.8, low=0.79, high=0.81),
    RECALL: Figure(value=0.4, low=0.38, high=0.42),
}
REFERENCE = QualityReference(
    task=Task.TWO_CLASSES,
    rows=8_000,
    cells=(Cell(place=2, positive=True, rows=9, hits=4, chance=0.5, score=0.5, squares=0.3),),
    error_raw=0.01,
    figures={EVERYTHING: HELD, NEWARK: HELD},
)
FACTS = Facts(
    endpoint="flights",
    deployment="champion",
    version="flights:1",
    package="p",
    made_at=0.0,
    spans=(),
    profiles=(),
    labels=(),
    bins=None,
    reference=REFERENCE,
    watched=None,
)


def told(
    week: int = 0,
    *,
    name: str = EVERYTHING,
    labels: int = 0,
    came: dict[str, tuple[float, float]] | None = None,
) -> Told:
    """Return a week; `came` has figures by labels, each with its standard error."""
    profile = WindowProfile(
        endpoint="flights",
        deployment="champion",
        package="p",
        start=week * WEEK,
        seconds=WEEK,
        rows={EVERYTHING: 5_000, NEWARK: 2_000},
    )
    span = Span(start=week * WEEK, until=(week + 1) * WEEK)
    return Told(
        window=Window(span=span, profile=profile, rows={}),
        name=name,
        labels=labels,
        estimated={
            metric: figure(one.value, 0.002) for metric, one in HELD.items() if metric != ACCURACY
        },
        realised={metric: figure(*one) for metric, one in (came or {}).items()},
    )


def figure(value: float, error: float) -> Figure:
    """Return a figure by its standard error."""
    return Figure(value=value, low=value - 1.96 * error, high=value + 1.96 * error)


def verdict(
    asked: Told,
    *labelled: Told,
    metric: str = BRIER,
    facts: Facts = FACTS,
    unlike: tuple[str, float] = ("temp", 0.0),
    **shows: object,
) -> Verdict:
    """Return the trust in one estimate, given what labels of some weeks say, newest first."""
    shown = shown_by(facts, labelled, headline=BRIER, rules=RULES, cut=None)
    grounds = Grounds(
        facts=facts,
        rules=RULES,
        shown=replace(shown, **shows),  # type: ignore[arg-type]  # fields of `Shown`
        unlike={asked.window.span.until: unlike},
    )
    return trust(grounds, asked, metric)


@pytest.mark.parametrize(
    ("came", "error", "says"),
    [
        (0.21, 0.02, Says.TOO_LITTLE),  # 120 labels: far off, and it may be chance
        (0.155, 0.02, Says.TOO_LITTLE),
        (0.157, 0.003, Says.YES),
        (0.19, 0.003, Says.NO),
        (0.162, 0.0001, Says.YES),  # beyond chance, and it matters to nobody
    ],
)
def test_labels_bear_out_contradict_or_say_too_little(
    came: float, error: float, says: Says
) -> None:
    """What does not contradict an estimate bears it out only where it is near enough."""
    week = told(labels=120, came={BRIER: (came, error)})
    shown = shown_by(FACTS, [week], headline=BRIER, rules=RULES, cut=None)
    [found] = shown.figures[EVERYTHING, BRIER]
    assert found.says is says


def test_few_labels_are_said_to_be_too_few() -> None:
    """An estimate that 120 labels hardly speak of is as good as without them, and says so."""
    week = told(labels=120, came={BRIER: (0.21, 0.02)})
    found = verdict(week, week)
    assert found.trust is Trust.GOOD
    assert found.because.endswith("120 labels are too few to say")
    assert verdict(told()).because.endswith("no labels yet")


def test_a_change_of_the_loss_goes_before_older_labels_that_bear_it_out() -> None:
    """What was right last month is no witness for what has changed since; what came behind is."""
    bearing = {BRIER: (0.156, 0.002)}
    cut = Cut(at=1.5 * WEEK, found_at=1.6 * WEEK, before=0.15, now=0.2, values=99)
    old, new = told(0, labels=900, came=bearing), told(2, labels=900, came=bearing)
    asked = told(3)
    assert verdict(asked, old, cut=cut).because == "the loss has changed since, by labels"
    assert verdict(asked, told(1, labels=900, came=bearing), cut=cut).trust is Trust.DOUBTFUL
    assert verdict(asked, new, old, cut=cut).trust is Trust.GOOD
    assert verdict(asked, old, cut=replace(cut, now=0.1)).trust is Trust.GOOD


def test_each_figure_of_each_slice_has_its_own_evidence() -> None:
    """Labels that contradict the recall leave the Brier score; a slice falls back on all rows."""
    week = told(labels=3_000, came={BRIER: (0.155, 0.002), RECALL: (0.2, 0.005)})
    assert verdict(week, week).trust is Trust.GOOD
    found = verdict(week, week, metric=RECALL)
    assert found.trust is Trust.DOUBTFUL
    assert found.because.startswith("labels contradict it: 3,000 labels say 0.2, and 0.4")
    newark = told(name=NEWARK)
    assert "bear the Brier score of all rows out" in verdict(newark, week).because


def test_both_reasons_are_told() -> None:
    """Rows unlike all that was held out do not hide that labels contradict the estimate."""
    week = told(labels=3_000, came={BRIER: (0.25, 0.004)})
    found = verdict(week, week, unlike=("temp", 0.1))
    assert found.trust is Trust.DOUBTFUL
    assert "`temp`" in found.because
    assert "labels contradict it" in found.because
    assert verdict(week, week, unlike=("temp", 0.5)).trust is Trust.NONE


def test_scores_that_are_no_probabilities_make_what_rests_on_them_doubtful() -> None:
    """A calibration error beyond the held-out one counts for all but the headline."""
    bad = [(WEEK, Figure(value=0.1, low=0.08, high=0.12))]
    found = verdict(told(), metric=RECALL, calibration=bad)
    assert found.trust is Trust.DOUBTFUL
    assert "calibration error of 0.08 at least" in found.because
    assert verdict(told(), metric=BRIER, calibration=bad).trust is Trust.GOOD
    good = [(WEEK, Figure(value=0.03, low=0.0, high=0.05))]
    assert verdict(told(), metric=RECALL, calibration=good).trust is Trust.GOOD


def test_an_estimate_that_missed_its_own_held_out_rows_is_doubtful() -> None:
    """It was off by more than matters from one time to another, so only its own labels help."""
    facts = replace(FACTS, reference=replace(REFERENCE, missed={BRIER: 0.02}))
    found = verdict(told(1), facts=facts)
    assert found.trust is Trust.DOUBTFUL
    assert found.because == "on its own held-out rows the estimate missed by up to 0.039"
    week = told(labels=3_000, came={BRIER: (0.156, 0.002)})
    assert verdict(week, week, facts=facts).trust is Trust.GOOD
    assert verdict(told(1), week, facts=facts).trust is Trust.DOUBTFUL
    slightly = replace(FACTS, reference=replace(REFERENCE, missed={BRIER: 0.003}))
    assert verdict(told(), facts=slightly).trust is Trust.GOOD
