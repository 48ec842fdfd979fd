"""The contract of `Labels`: the same tests for every adapter."""

from dataclasses import replace
from typing import Any

import pytest

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.labels import SqlLabels
from servewell.core.catalog.label import Label, LossSum
from servewell.ports.labels import Kept, LabelQuery, Labels


@pytest.fixture
def labels(database: Database) -> Labels:
    """Each adapter in turn."""
    return SqlLabels(database)


def label(number: int, value: Any = 1.0, **changes: Any) -> Label:  # noqa: ANN401 - fields of any type
    """Return what is true of a prediction."""
    plain = Label(
        prediction_id=f"id-{number}",
        row=0,
        endpoint="flights",
        deployment="champion",
        role="",
        predicted_at=100.0 + number,
        value=value,
        outputs={"p": 0.25},
        loss=0.5,
        measure="brier",
        added_at=1_000.0,
        principal="ada",
        source="truth.csv",
    )
    return replace(plain, **changes)


def test_keeps_labels_once(labels: Labels) -> None:
    """To add the same again changes nothing, in one call or in two."""
    assert labels.last() == 0
    kept = labels.add([label(1), label(2), label(1)])
    assert kept == Kept(added=2, corrected=0, repeated=1)
    assert labels.add([label(2), label(3)]) == Kept(added=1, corrected=0, repeated=1)
    assert labels.last() == 3
    assert labels.add([]) == Kept(added=0, corrected=0, repeated=0)


def test_a_later_label_corrects_and_both_are_kept(labels: Labels) -> None:
    """The history tells both; who follows is given the first alone."""
    labels.add([label(1, 1.0)])
    assert labels.add([label(1, 0.0), label(1, 0.0)]) == Kept(added=0, corrected=1, repeated=1)
    assert labels.add([label(1, 1.0)]).corrected == 1
    assert labels.add([label(1, value=True)]).corrected == 1
    told = labels.history("id-1")
    assert [(one.value, one.corrects) for one in told] == [
        (1.0, False),
        (0.0, True),
        (1.0, True),
        (True, True),
    ]
    assert [one.number for one in labels.since(0, endpoint="flights", limit=9)] == [1]


def test_the_labels_that_hold_are_read_in_parts(labels: Labels) -> None:
    """Of each row the last one, of the predictions that are asked for, in the order of adding."""
    labels.add([label(1, 1.0), label(2), label(3), label(4, endpoint="trains")])
    labels.add([label(1, 0.0)])
    first = labels.holding(LabelQuery(), limit=2)
    rest = labels.holding(LabelQuery(), after=first[-1].number, limit=9)
    assert [(one.prediction_id, one.value) for one in (*first, *rest)] == [
        ("id-2", 1.0),
        ("id-3", 1.0),
        ("id-4", 1.0),
        ("id-1", 0.0),
    ]
    asked = LabelQuery(endpoint="flights", since=102.0, until=103.0)
    assert [one.prediction_id for one in labels.holding(asked, limit=9)] == ["id-2"]


def test_rows_of_one_prediction_have_labels_of_their_own(labels: Labels) -> None:
    """Each row is one truth, and the history is by row."""
    labels.add([label(1, row=1), label(1, "late", row=0), label(1, "early", row=0)])
    assert [(one.row, one.value) for one in labels.history("id-1")] == [
        (0, "late"),
        (0, "early"),
        (1, 1.0),
    ]
    assert labels.history("id-2") == ()


def test_who_follows_gets_every_label_once(labels: Labels) -> None:
    """In the order of adding, of one endpoint, so many at a time."""
    labels.add(
        [label(number, endpoint="flights" if number % 2 else "fraud") for number in range(9)]
    )
    first = labels.since(0, endpoint="flights", limit=3)
    rest = labels.since(first[-1].number, endpoint="flights", limit=3)
    assert [one.prediction_id for one in (*first, *rest)] == ["id-1", "id-3", "id-5", "id-7"]
    assert labels.since(rest[-1].number, endpoint="flights", limit=3) == ()


def test_a_dry_run_keeps_nothing(labels: Labels) -> None:
    """It says what would become of the labels."""
    labels.add([label(1)])
    kept = labels.add([label(1), label(1, 0.0), label(2)], dry_run=True)
    assert kept == Kept(added=1, corrected=1, repeated=1)
    assert labels.last() == 1


def test_the_status_is_of_the_labels_that_hold(labels: Labels) -> None:
    """By deployment and measure, with how old the predictions were when their label came."""
    labels.add([label(1, loss=0.5), label(2, loss=0.1), label(3, deployment="new", loss=None)])
    labels.add([label(1, 0.0, loss=0.3, added_at=2_000.0), label(4, endpoint="fraud")])
    champion, new = labels.status("flights")
    assert (champion.deployment, champion.predictions, champion.corrected) == ("champion", 2, 1)
    assert champion.loss == pytest.approx(0.2)
    assert (champion.first_predicted_at, champion.last_predicted_at) == (101.0, 102.0)
    assert champion.last_added_at == 2_000.0
    assert champion.delay_s == pytest.approx((1_899 + 898) / 2)
    assert (new.predictions, new.loss) == (1, None)
    assert labels.status("nothing") == ()


def test_many_predictions_at_once(labels: Labels) -> None:
    """More than a database takes as values of one question."""
    assert labels.add([label(number) for number in range(2_500)]).added == 2_500
    assert labels.add([label(number) for number in range(2_500)]).repeated == 2_500


def test_what_is_true_by_now_of_a_time(labels: Labels) -> None:
    """Of each row the last label, in the order of adding, a page at a time."""
    labels.add([label(3), label(1, slices={"origin": "EWR"}), label(9)])
    labels.add([label(2), label(1, 0.0), label(4, deployment="other")])
    query = LabelQuery(endpoint="flights", deployment="champion", since=101.0, until=104.0)
    found = labels.holding(query, limit=10)
    told = [(one.prediction_id, one.value, one.corrects) for one in found]
    assert told == [("id-3", 1.0, False), ("id-2", 1.0, False), ("id-1", 0.0, True)]
    assert found[2].slices == {}
    assert labels.history("id-1")[0].slices == {"origin": "EWR"}
    assert labels.holding(query, after=found[0].number, limit=1) == found[1:2]
    assert labels.holding(replace(query, since=104.0, until=105.0), limit=10) == ()
    assert labels.holding(query, limit=2, newest=True) == found[1:]


def test_the_losses_of_a_time_add_up(labels: Labels) -> None:
    """Of each row the last label counts, of several measures the most frequent, and no slip."""
    labels.add([label(1, loss=0.5), label(2, loss=0.25), label(3, loss=1.0, measure="wrong")])
    labels.add([label(1, 0.0, loss=0.125), label(9, loss=0.5), label(2, deployment="other")])
    found = labels.losses("flights", "champion", since=101.0, until=104.0)
    assert found == LossSum(measure="brier", rows=2, total=0.375, squares=0.078125)
    assert labels.losses("flights", "champion", since=104.0, until=105.0) is None
    labels.add([label(5, loss=1e200)])
    assert labels.losses("flights", "champion", since=105.0, until=106.0) is None


def test_the_losses_as_they_were_known_at_a_time(labels: Labels) -> None:
    """What was added later counts not yet, and a loss beyond a bound counts as the bound."""
    labels.add([label(1, loss=0.25), label(2, loss=9.0)])
    labels.add([label(1, 0.0, loss=0.5, added_at=2_000.0)])
    asked = {"since": 100.0, "until": 200.0, "most": 2.0}
    before = labels.losses("flights", "champion", **asked, known_at=1_500.0)
    after = labels.losses("flights", "champion", **asked, known_at=2_000.0)
    assert before == LossSum(measure="brier", rows=2, total=2.25, squares=4.0625)
    assert after == LossSum(measure="brier", rows=2, total=2.5, squares=4.25)
