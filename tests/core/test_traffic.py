"""Decisions on traffic: deploy, split, roll back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint, Shadow
from servewell.core.catalog.model import (
    Equivalence,
    Format,
    Lineage,
    Manifest,
    ModelVersion,
    digest_of,
)
from servewell.core.catalog.signature import Signature
from servewell.core.operations.traffic import (
    DeploymentMissingError,
    DeploymentTakenError,
    NothingToRollBackError,
    TrafficInvalidError,
    decide_deploy,
    decide_rollback,
    decide_traffic,
    parse_share,
    scale,
)

EMPTY = Endpoint(name="flights", workload="flights")


def version(number: int) -> ModelVersion:
    """Return a registered version, told apart by its number."""
    manifest = Manifest(
        model="flights",
        artifact=digest_of(str(number).encode()),
        artifact_bytes=1,
        signature=Signature(inputs=(), outputs=()),
        lineage=Lineage(
            run="r",
            format=Format.ONNX,
            source="m.onnx",
            source_digest="",
            dataset=None,
            dataset_digest=None,
            commit=None,
            dirty=False,
            environment_digest="",
        ),
        equivalence=Equivalence(rows=0, largest_difference=0.0, tolerance=0.0),
    )
    return ModelVersion(
        model="flights",
        number=number,
        package=f"package-{number}",
        package_signature="",
        manifest=manifest,
        created_at=0.0,
        created_by="somebody",
    )


def deployed(*numbers: int) -> Endpoint:
    """Return an endpoint after these versions were deployed with all traffic, one by one."""
    endpoint = EMPTY
    for number in numbers:
        endpoint = decide_deploy(endpoint, version(number)).endpoint
    return endpoint


def test_the_first_deployment_gets_everything() -> None:
    """An endpoint never has a request without a deployment, whatever share was asked for."""
    assert decide_deploy(EMPTY, version(1), share_bp=10).endpoint.traffic == {"v1": BP_FULL}


def test_a_partial_deployment_scales_the_others() -> None:
    """The others keep their proportions and the shares sum to the whole."""
    split = decide_traffic(
        decide_deploy(deployed(1), version(2), share_bp=0).endpoint, {"v1": 7_500, "v2": 2_500}
    ).endpoint
    assert decide_deploy(split, version(3), share_bp=1_000).endpoint.traffic == {
        "v1": 6_750,
        "v2": 2_250,
        "v3": 1_000,
    }


def test_rollback_returns_to_the_traffic_before() -> None:
    """One rollback undoes one change; the next one goes further back; then there is no more."""
    endpoint = decide_rollback(deployed(1, 2, 3)).endpoint
    assert endpoint.traffic == {"v2": BP_FULL}
    endpoint = decide_rollback(endpoint).endpoint
    assert endpoint.traffic == {"v1": BP_FULL}
    with pytest.raises(NothingToRollBackError, match="no earlier traffic"):
        decide_rollback(endpoint)


def test_rollback_to_a_named_deployment() -> None:
    """A person may say where to."""
    assert decide_rollback(deployed(1, 2), to="v1").endpoint.traffic == {"v1": BP_FULL}
    with pytest.raises(DeploymentMissingError) as caught:
        decide_rollback(deployed(1, 2), to="v9")
    assert "`v1`, `v2`" in caught.value.why


def test_what_a_rollback_needs_stays_loaded() -> None:
    """The deployments of the last two maps are kept, older ones go."""
    endpoint = deployed(1, 2, 3, 4)
    assert [one.name for one in endpoint.deployments] == ["v2", "v3", "v4"]


def test_a_dark_deployment_is_kept() -> None:
    """A deployment made without traffic is not retired by its own making."""
    endpoint = decide_deploy(deployed(1), version(2), share_bp=0).endpoint
    assert [one.name for one in endpoint.deployments] == ["v1", "v2"]
    assert endpoint.past == ()


def test_a_name_belongs_to_one_version() -> None:
    """A deployment never silently becomes another model."""
    with pytest.raises(DeploymentTakenError, match="already"):
        decide_deploy(deployed(1), version(2), name="v1")


def test_deploying_the_same_version_again_changes_nothing() -> None:
    """Asking twice is the same as asking once."""
    endpoint = deployed(1)
    assert not decide_deploy(endpoint, version(1)).changes(endpoint)


@pytest.mark.parametrize("shares", [{"v1": 9_999}, {"v1": 10_001}, {"v1": -1, "v2": 10_001}, {}])
def test_refuses_shares_that_are_no_map(shares: dict[str, int]) -> None:
    """No share is lost, none is invented."""
    with pytest.raises(TrafficInvalidError):
        decide_traffic(deployed(1, 2), shares)


names = st.sampled_from(["a", "b", "c", "d", "e"])


@given(st.dictionaries(names, st.integers(1, BP_FULL), min_size=1), st.integers(0, BP_FULL))
def test_scaling_loses_nothing(shares: dict[str, int], total: int) -> None:
    """Scaled shares sum to the total exactly, and none is off by more than one basis point."""
    scaled = scale(shares, total)
    assert sum(scaled.values()) == total
    for name, share in shares.items():
        assert abs(scaled[name] - share * total / sum(shares.values())) <= 1


moves = st.one_of(
    st.tuples(st.just("deploy"), st.integers(1, 6), st.integers(0, BP_FULL)),
    st.tuples(st.just("rollback"), st.just(0), st.just(0)),
    st.tuples(st.just("traffic"), st.integers(0, 5), st.integers(0, BP_FULL)),
)


@given(st.lists(moves, max_size=20))
def test_traffic_is_always_whole(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is done in whatever order, shares sum to 10 000 and name loaded deployments."""
    endpoint = EMPTY
    for what, number, share_bp in steps:
        try:
            endpoint = _step(endpoint, what, number=number, share_bp=share_bp)
        except (NothingToRollBackError, DeploymentMissingError):
            continue
        loaded = {one.name for one in endpoint.deployments}
        assert sum(endpoint.traffic.values()) in (0, BP_FULL)
        assert bool(endpoint.deployments) == bool(endpoint.traffic)
        assert all(name in loaded for past in endpoint.past for name, _ in past)


def _step(endpoint: Endpoint, what: str, *, number: int, share_bp: int) -> Endpoint:
    if what == "deploy":
        return decide_deploy(endpoint, version(number), share_bp=share_bp).endpoint
    if what == "rollback":
        return decide_rollback(endpoint).endpoint
    if not endpoint.deployments:
        return endpoint
    first = endpoint.deployments[number % len(endpoint.deployments)].name
    last = endpoint.deployments[-1].name
    shares = {first: BP_FULL} if first == last else {first: share_bp, last: BP_FULL - share_bp}
    return decide_traffic(endpoint, shares).endpoint


@pytest.mark.parametrize(
    ("text", "share_bp"), [("10%", 1_000), ("2.5%", 250), ("250bp", 250), ("100%", BP_FULL)]
)
def test_reads_shares(text: str, share_bp: int) -> None:
    """Percent and basis points are both understood."""
    assert parse_share(text) == share_bp


@pytest.mark.parametrize("text", ["10", "", "%", "nan%", "inf%", "101%", "-1%", "0.001%", "1.5bp"])
def test_refuses_what_is_no_share(text: str) -> None:
    """A number without a unit is a guess, and is not guessed."""
    with pytest.raises(TrafficInvalidError, match="not a share"):
        parse_share(text)


def test_a_deployment_keeps_its_package() -> None:
    """Traffic changes never touch what a deployment serves."""
    before = deployed(1, 2)
    after = decide_rollback(before).endpoint
    assert [replace(one, share_bp=0) for one in after.deployments] == [
        replace(one, share_bp=0) for one in before.deployments
    ]
    assert isinstance(after.deployments[0], Deployment)


def test_a_shadow_stays_loaded_while_it_is_one() -> None:
    """It has no traffic, is not the newest, and no rollback returns to it."""
    endpoint = decide_deploy(EMPTY, version(1)).endpoint
    endpoint = decide_deploy(endpoint, version(2), share_bp=0).endpoint
    shadowed = replace(endpoint, shadow=Shadow(deployment="v2", share_bp=1_000))
    after = decide_deploy(shadowed, version(3), share_bp=0).endpoint
    assert [one.name for one in after.deployments] == ["v1", "v2", "v3"]
    ended = decide_deploy(replace(after, shadow=None), version(3), share_bp=0).endpoint
    assert "v2" not in [one.name for one in ended.deployments]
