"""Decisions on whether work must be done again."""

import pytest

from servewell.core.catalog.run import Run, RunState
from servewell.core.operations.freshness import decide_run, inputs_digest

RUN = Run(
    id="r",
    workload="w",
    state=RunState.SUCCEEDED,
    inputs_digest="i",
    started_at=0.0,
    model_version="w:3",
)


@pytest.mark.parametrize(
    ("last", "before", "package_kept", "needed", "because"),
    [
        pytest.param(None, None, False, True, "no model yet", id="nothing-was-ever-made"),
        pytest.param(None, RUN, False, True, "changed since w:3", id="something-changed"),
        pytest.param(RUN, RUN, False, True, "missing or damaged", id="package-lost"),
        pytest.param(RUN, RUN, True, False, "those of w:3", id="nothing-changed"),
    ],
)
def test_decides(
    last: Run | None, before: Run | None, *, package_kept: bool, needed: bool, because: str
) -> None:
    """Each rule, with its reason."""
    decision = decide_run(last=last, before=before, package_kept=package_kept)
    assert decision.needed is needed
    assert because in decision.because


def test_a_digest_depends_on_values_not_on_order() -> None:
    """The same parts in another order are the same work; another value is other work."""
    assert inputs_digest({"a": 1, "b": {"x": 1, "y": 2}}) == inputs_digest(
        {"b": {"y": 2, "x": 1}, "a": 1}
    )
    assert inputs_digest({"a": 1}) != inputs_digest({"a": 2})
