"""What served at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.operations.serving_history import serving_at


def change(
    revision: int, at: float, traffic: dict[str, int] | None, *, of: str = "flights"
) -> Change:
    """Return a change of an endpoint, or of a key where there is no traffic."""
    return Change(
        revision=revision,
        at=at,
        principal="somebody",
        kind=ChangeKind.TRAFFIC_SET if traffic is not None else ChangeKind.KEY_CREATED,
        subject=of,
        because="",
        traffic=traffic,
        versions={"v1": "flights:1", "v2": "flights:2"},
    )


CHANGES = [
    change(1, 100.0, {}),
    change(2, 200.0, {"v1": 10_000}),
    change(3, 250.0, None, of="LuDEHdk09jM"),
    change(4, 300.0, {"v1": 9_000, "v2": 1_000}),
    change(5, 300.0, {"v2": 10_000, "v1": 0}),
    change(6, 400.0, {"v1": 10_000}, of="churn"),
]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(99.9, {}, id="before-everything"),
        pytest.param(100.0, {"flights": {}}, id="an-endpoint-without-traffic"),
        pytest.param(299.9, {"flights": {"v1": "flights:1"}}, id="a-key-changes-nothing"),
        pytest.param(300.0, {"flights": {"v2": "flights:2"}}, id="two-changes-at-once"),
        pytest.param(
            1e12,
            {"churn": {"v1": "flights:1"}, "flights": {"v2": "flights:2"}},
            id="every-endpoint-by-name",
        ),
    ],
)
def test_the_newest_change_until_then_tells(at: float, expected: dict[str, dict[str, str]]) -> None:
    """At its own moment a change holds already; deployments without a share are left out."""
    served = serving_at(CHANGES, at)
    assert {one.endpoint: one.versions for one in served} == expected
    assert all(one.versions.keys() == one.traffic.keys() for one in served)


@given(order=st.permutations(CHANGES), at=st.floats(0, 500))
def test_the_order_of_the_changes_does_not_matter(order: list[Change], at: float) -> None:
    """Revisions order the changes, so that it does not matter in which order they are read."""
    assert serving_at(order, at) == serving_at(CHANGES, at)
