"""The losses of labels are followed once each, and worse is said only beyond doubt."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.label import Label
from servewell.core.catalog.loss_watch import LossWatch
from servewell.core.operations.monitoring.loss_watch import followed
from servewell.core.operations.monitoring.quality import beyond
from servewell.core.operations.monitoring.realised import mean_of


def label(number: int, loss: float | None, deployment: str = "a", measure: str = "brier") -> Label:
    """Return a label by its place in the order of adding."""
    return Label(
        number=number,
        prediction_id=f"id-{number}",
        row=0,
        endpoint="flights",
        deployment=deployment,
        role="",
        predicted_at=float(number),
        value=1,
        loss=loss,
        measure=measure if loss is not None else "",
        added_at=0.0,
        principal="ada",
        source="truth.csv",
    )


@settings(max_examples=40, deadline=None)
@given(
    losses=st.lists(
        st.tuples(st.one_of(st.none(), st.floats(0, 1)), st.sampled_from("ab")), max_size=120
    ),
    cut=st.integers(0, 120),
)
def test_labels_in_two_parts_end_as_in_one(
    losses: list[tuple[float | None, str]], cut: int
) -> None:
    """Wherever a process stopped, the next one ends with the same watch and cursor."""
    labels = [label(number, *one) for number, one in enumerate(losses, 1)]
    start, scales = LossWatch(endpoint="flights"), {"a": 1.0, "b": 0.5}
    whole = followed(start, labels, scales=scales)
    part = followed(start, labels[:cut], scales=scales)
    assert followed(part, labels[part.cursor :], scales=scales) == whole
    assert whole.cursor == len(labels)
    told = sum(one.labels for one in whole.deployments.values())
    assert told == sum(loss is not None for loss, _ in losses)


def test_a_loss_of_another_measure_is_left_out() -> None:
    """What began as a share of wrong classes is not mixed with squared differences."""
    labels = [label(1, 0.5), label(2, 1.0, measure="wrong"), label(3, 0.25)]
    found = followed(LossWatch(endpoint="flights"), labels, scales={})
    assert found.deployments["a"].labels == 2
    assert found.deployments["a"].scale == 1.0


def test_worse_is_hardly_ever_said_by_chance_and_surely_of_what_is() -> None:
    """At most one look in 500 errs where nothing changed; a third more loss is always seen."""
    drawn = np.random.default_rng(1)
    held = mean_of(drawn.exponential(0.2, 2_000).tolist())
    same = [mean_of(drawn.exponential(0.2, 300).tolist()) for _ in range(1_500)]
    assert sum(beyond(one, held, better="lower") for one in same) <= 3
    worse = [mean_of(drawn.exponential(0.3, 1_000).tolist()) for _ in range(100)]
    assert all(beyond(one, held, better="lower") for one in worse)
    assert not any(beyond(one, held, better="higher") for one in worse)
