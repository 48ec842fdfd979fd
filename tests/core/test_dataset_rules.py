"""Who may read a dataset, which versions have had their time, and what stays of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.data_facts import ValueKind
from servewell.core.catalog.data_rules import row_breaches
from servewell.core.catalog.dataset import ColumnStatistics, DatasetPolicy, DatasetVersion
from servewell.core.catalog.endpoint import Endpoint, EndpointPolicy
from servewell.core.catalog.workload import Artifact, Data, InputRule, Workload
from servewell.core.operations.dataset_rules import (
    DAY_S,
    DatasetReferenceError,
    PolicyChange,
    changed,
    end_version,
    past_retention,
    personal_columns,
    read_reference,
    refusal,
    unfinished,
)

OWNED = DatasetPolicy(name="flights", owner="ann", readers=("bob",), retention_days=10)
STATISTICS = (ColumnStatistics(name="temp", kind=ValueKind.NUMBER, missing=0, distinct=3),)


def version(number: int = 1, *, digest: str = "a", created_at: float = 0.0) -> DatasetVersion:
    """Return a version of the dataset `flights`."""
    return DatasetVersion(
        name="flights",
        number=number,
        digest=digest,
        rows=3,
        size_bytes=1,
        columns=(),
        source="flights.csv",
        created_at=created_at,
        statistics=STATISTICS,
    )


@pytest.mark.parametrize(
    ("policy", "principal", "owning", "may"),
    [
        (None, "eve", True, True),
        (OWNED, "ann", True, True),
        (OWNED, "bob", False, True),
        (OWNED, "bob", True, False),
        (OWNED, "eve", False, False),
        (changed(OWNED, PolicyChange(anyone=True)), "eve", False, True),
        (changed(OWNED, PolicyChange(anyone=True)), "eve", True, False),
        (changed(OWNED, PolicyChange(readers=("nobody",))), "bob", False, False),
    ],
)
def test_who_may(policy: DatasetPolicy | None, principal: str, *, owning: bool, may: bool) -> None:
    """The owner may everything, readers may read, and without a policy everybody may."""
    assert (refusal(policy, principal, owning=owning) == "") == may


def test_what_is_not_said_of_a_policy_stays() -> None:
    """A change of one thing leaves the others as they were."""
    assert changed(OWNED, PolicyChange()) == OWNED
    given_away = changed(OWNED, PolicyChange(owner="bob", keep=True, personal=("name",)))
    assert given_away == DatasetPolicy(
        name="flights", owner="bob", readers=("bob",), personal=("name",)
    )


@given(age_s=st.floats(0, 100 * DAY_S))
def test_rows_end_when_their_time_is_over_and_never_before(age_s: float) -> None:
    """A version of ten days goes once it is ten days old; one without a policy never does."""
    now = 1e9
    kept = version(created_at=now - age_s)
    due = past_retention([kept], {"flights": OWNED}, now=now)
    assert bool(due) == (kept.created_at <= now - 10 * DAY_S)
    assert past_retention([kept], {}, now=now) == ()


def test_what_a_model_learned_from_stays_known() -> None:
    """Rows go; what was measured of them stays where a model's lineage names them, and says so."""
    named = end_version(version(), now=5.0, because="old", models=["late:1"], others=[version()])
    assert (named.remove, named.version.removed_at, named.version.statistics) == (
        True,
        5.0,
        STATISTICS,
    )
    assert "late:1 learned from it" in named.because
    other = end_version(version(), now=5.0, because="old", models=[], others=[version()])
    assert (other.version.statistics, other.because) == ((), "old")


def test_rows_that_another_version_has_too_stay() -> None:
    """The file of two versions goes with the second of them."""
    both = [version(), version(2)]
    assert not end_version(both[0], now=5.0, because="old", models=[], others=both).remove
    gone = end_version(both[0], now=5.0, because="old", models=[], others=both).version
    assert end_version(both[1], now=6.0, because="old", models=[], others=[gone, both[1]]).remove


@pytest.mark.parametrize(
    ("text", "found"), [("flights", ("flights", None)), ("flights:12", ("flights", 12))]
)
def test_a_reference_is_read(text: str, found: tuple[str, int | None]) -> None:
    """A name is the newest version, a number behind it one of them."""
    assert read_reference(text) == found


@pytest.mark.parametrize(
    "text",
    ["", ":", "flights:", "flights:x", "flights:-1", "Flights", "a:1:2", "a:٣", "a:" + "9" * 30],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    """Whatever else is written comes back as words."""
    with pytest.raises(DatasetReferenceError):
        read_reference(text)


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({"path": "a.csv"}, 0),
        ({"dataset": "flights"}, 0),
        ({"label": "late"}, 1),
        ({"path": "a.csv", "dataset": "flights"}, 1),
        ({"path": "a.csv", "step": "prepare"}, 0),
        ({"dataset": "flights", "step": "prepare"}, 1),
        (None, 0),
        ([], 0),
    ],
)
def test_rows_come_from_one_place(data: object, faults: int) -> None:
    """A workload names a file or a dataset, and not both."""
    assert len(list(row_breaches(data))) == faults


def test_a_column_is_personal_whoever_calls_it_so() -> None:
    """The dataset, its statistics, a workload that learns from it, or that one's endpoint."""
    told = replace(version(), statistics=(replace(STATISTICS[0], personal=True),))
    learning = Workload(
        workload="late",
        artifact=Artifact(path="model.onnx"),
        data=Data(dataset="flights:1", label="late"),
        inputs={"name": InputRule(personal=True), "wind": InputRule()},
    )
    other = replace(learning, workload="trains", data=Data(path="trains.csv"))
    endpoints = [
        Endpoint(name=one, workload=one, policy=EndpointPolicy(personal=(f"seat-{one}",)))
        for one in ("late", "trains")
    ]
    found = personal_columns(
        told,
        policy=replace(OWNED, personal=("mail",)),
        workloads=[learning, other],
        endpoints=endpoints,
    )
    assert found == {"temp", "name", "mail", "seat-late"}


def test_a_removal_is_unfinished_only_where_nobody_has_the_rows() -> None:
    """Rows that another version has, or the same one again, stay."""
    gone = replace(version(1), removed_at=1.0)
    assert unfinished([gone]) == ("a",)
    assert unfinished([gone, version(2)]) == ()
    assert unfinished([gone, version(2, digest="b")]) == ("a",)
