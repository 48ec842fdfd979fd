"""When a version is no longer run, and where its traffic goes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.operations.quarantine import decide_withdrawal
from servewell.core.operations.traffic import (
    QuarantinedError,
    decide_rollback,
    decide_traffic,
)
from servewell.core.reliability.quarantine import DEATHS_MAX, WITHIN_S, decide_quarantine

BECAUSE = "its process ended 3 times"


def endpoint(past: tuple[tuple[tuple[str, int], ...], ...] = (), **shares: int) -> Endpoint:
    """Return an endpoint with a deployment for each share; its package is its name."""
    return Endpoint(
        name="flights",
        workload="flights",
        past=past,
        deployments=tuple(
            Deployment(
                name=name,
                model="flights",
                version=place,
                package=f"package-{name}",
                package_signature="",
                share_bp=share,
            )
            for place, (name, share) in enumerate(shares.items(), 1)
        ),
    )


def withdrawn(before: Endpoint, name: str, *, trial: int = 0) -> Endpoint:
    """Return the endpoint after the package of a deployment was found bad."""
    return decide_withdrawal(before, f"package-{name}", trial=trial, because=BECAUSE).endpoint


def test_a_version_is_refused_at_its_third_death_within_a_minute() -> None:
    """Two deaths, or three over more than a minute, are not too often."""
    now = 1_000.0
    assert DEATHS_MAX == 3
    assert not decide_quarantine([now, now], now=now, last="x").refused
    assert not decide_quarantine([now - WITHIN_S, now, now], now=now, last="x").refused
    decision = decide_quarantine([now - WITHIN_S + 1, now, now], now=now, last="a call was slow")
    assert decision.refused
    assert "3 times within 60 s" in decision.because
    assert "a call was slow" in decision.because


@given(st.lists(st.floats(0, 1_000), max_size=8), st.floats(0, 1_000))
def test_old_deaths_never_count(deaths: list[float], now: float) -> None:
    """Only what happened within the last minute is held against a version."""
    decision = decide_quarantine(deaths, now=now, last="x")
    assert decision.refused == (sum(now - at < WITHIN_S for at in deaths) >= DEATHS_MAX)


def test_the_others_take_the_traffic() -> None:
    """A canary in quarantine gives its share back to who serves beside it."""
    after = withdrawn(endpoint(v1=9_000, v2=1_000), "v2")
    assert after.traffic == {"v1": BP_FULL}
    assert after.deployments[1].quarantined == BECAUSE


def test_traffic_returns_to_the_newest_good_split() -> None:
    """A version that has all traffic loses it to what served before, and not to a bad one."""
    past = ((("v1", BP_FULL),), (("v1", 5_000), ("v3", 5_000)))
    after = withdrawn(endpoint(past, v1=0, v3=BP_FULL), "v3")
    assert after.traffic == {"v1": BP_FULL}
    assert after.past == ()


def test_without_anything_good_the_traffic_stays() -> None:
    """The only version keeps its traffic, which its workers refuse, until something is deployed."""
    after = withdrawn(endpoint(v1=BP_FULL), "v1")
    assert after.traffic == {"v1": BP_FULL}
    assert after.deployments[0].quarantined == BECAUSE


def test_a_withdrawal_is_made_once() -> None:
    """Neither a second report nor one of an earlier trial changes anything."""
    before = endpoint(v1=9_000, v2=1_000)
    once = withdrawn(before, "v2")
    assert withdrawn(once, "v2") == once
    again = replace(before, deployments=tuple(replace(one, trial=1) for one in before.deployments))
    assert withdrawn(again, "v2", trial=0) == again


def test_only_a_deploy_ends_a_quarantine() -> None:
    """Neither `traffic` nor a rollback gives a share to a deployment in quarantine."""
    after = withdrawn(endpoint(v1=9_000, v2=1_000), "v2")
    with pytest.raises(QuarantinedError, match="3 times"):
        decide_traffic(after, {"v2": BP_FULL})
    with pytest.raises(QuarantinedError, match="3 times"):
        decide_rollback(after, to="v2")


@given(
    st.dictionaries(st.sampled_from(["v1", "v2", "v3", "v4"]), st.integers(1, 100), min_size=1),
    st.sampled_from(["v1", "v2", "v3", "v4"]),
)
def test_shares_always_sum_to_all_requests(weights: dict[str, int], name: str) -> None:
    """Whatever served, every request goes somewhere afterwards."""
    total = sum(weights.values())
    shares = {one: weight * BP_FULL // total for one, weight in weights.items()}
    first = next(iter(shares))
    shares[first] += BP_FULL - sum(shares.values())
    assert sum(withdrawn(endpoint(**shares), name).traffic.values()) == BP_FULL
