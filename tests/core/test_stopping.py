"""Whether an emergency stop may be ordered as somebody wishes it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.signature import Datatype, Output, Signature
from servewell.core.catalog.stop import Constant, StopMode
from servewell.core.operations.stopping import (
    FallbackMissingError,
    StopInvalidError,
    StopWish,
    decide_stop,
    describe_stop,
    faults_of,
    main_deployment,
)
from servewell.serving.runtimes.constant import ConstantModel
from servewell.serving.runtimes.model import DTYPES

WISH = StopWish(because="it harms somebody", principal="Ada", at=1.0)
SIGNATURE = Signature(
    inputs=(),
    outputs=(
        Output(name="late", datatype=Datatype.FP32, row_shape=(1,)),
        Output(name="count", datatype=Datatype.INT8),
        Output(name="word", datatype=Datatype.BYTES, row_shape=(2,)),
    ),
)
GOOD: dict[str, Constant] = {"late": 1, "count": 3.0, "word": "x"}


def deployment(name: str, share_bp: int, quarantined: str = "") -> Deployment:
    """Return a deployment."""
    return Deployment(
        name=name,
        model="m",
        version=1,
        package=name,
        package_signature="s",
        share_bp=share_bp,
        quarantined=quarantined,
    )


ENDPOINT = Endpoint(
    name="flights",
    workload="w",
    deployments=(deployment("a", 100), deployment("b", 9_900), deployment("c", 0, "it crashes")),
)


def test_a_stop_without_more_refuses() -> None:
    """The order says who, when, why and what."""
    order = decide_stop(ENDPOINT, WISH, None)
    assert (order.mode, order.because, order.principal) == (StopMode.REFUSE, WISH.because, "Ada")
    assert describe_stop(order) == "stopped: every request is refused"


def test_only_what_is_loaded_and_trusted_answers_instead() -> None:
    """One that was retired, or is in quarantine, is refused when it is ordered."""
    order = decide_stop(ENDPOINT, replace(WISH, fallback="a"), None)
    assert (order.mode, order.deployment) == (StopMode.FALLBACK, "a")
    for name, why in (("gone", "retired"), ("c", "quarantine")):
        with pytest.raises(FallbackMissingError, match=why):
            decide_stop(ENDPOINT, replace(WISH, fallback=name), None)


def test_a_constant_names_every_output_and_all_faults_are_told() -> None:
    """A whole number may be written as such for a float, and the other way round."""
    order = decide_stop(ENDPOINT, replace(WISH, constant=GOOD), SIGNATURE)
    assert order.outputs == {"late": 1, "count": 3, "word": "x"}
    wrong: dict[str, Constant] = {"late": "x", "count": 300, "more": 1}
    with pytest.raises(StopInvalidError) as raised:
        decide_stop(ENDPOINT, replace(WISH, constant=wrong), SIGNATURE)
    for part in ("`more`", "`late`", "`count`", "`word`"):
        assert part in raised.value.why
    with pytest.raises(StopInvalidError, match="no deployment"):
        decide_stop(ENDPOINT, replace(WISH, constant=GOOD), None)


def test_a_stop_has_a_reason_and_one_answer() -> None:
    """Neither two answers nor no reason."""
    for because in ("", "  ", "\udcff"):
        with pytest.raises(StopInvalidError, match="reason"):
            decide_stop(ENDPOINT, replace(WISH, because=because), None)
    with pytest.raises(StopInvalidError):
        decide_stop(ENDPOINT, replace(WISH, fallback="a", constant=GOOD), SIGNATURE)


def test_the_requests_are_those_of_the_deployment_with_most_traffic() -> None:
    """A constant stands in place of that one."""
    assert (found := main_deployment(ENDPOINT))
    assert found.name == "b"
    assert main_deployment(replace(ENDPOINT, deployments=())) is None


values = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.text(max_size=3),
    st.sampled_from([65_504, 65_505, 3.4e38, 1e39, 127, 128, -128, -129, 255, 256, 2**64 - 1]),
)


@given(st.sampled_from(list(Datatype)), values, st.integers(0, 3))
def test_what_is_let_in_reaches_callers_as_it_was_ordered(
    datatype: Datatype, value: Constant, rows: int
) -> None:
    """A value either is refused when it is ordered, or comes out of the model unchanged."""
    signature = Signature(
        inputs=(), outputs=(Output(name="y", datatype=datatype, row_shape=(1, 2)),)
    )
    if faults_of(signature, {"y": value}):
        return
    [array] = ConstantModel(signature, {"y": value}).run({"x": np.zeros((rows, 1))}, ["y"])
    assert (array.shape, array.dtype) == ((rows, 1, 2), np.dtype(DTYPES[datatype]))
    for one in array.reshape(-1).tolist():
        assert type(one) is not float or math.isfinite(one)
        assert one == DTYPES[datatype](value) if datatype is not Datatype.BYTES else one == value
