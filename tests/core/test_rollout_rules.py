"""What a workload says of its rollouts, and the plan that it makes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.change_window import ChangeWindow, read_window, window_at
from servewell.core.catalog.rollout import RolloutPlan, Strategy
from servewell.core.catalog.workload_rollout import RolloutRules, ShadowRules
from servewell.core.catalog.workload_rules import breaches, dotted
from servewell.core.operations.rollout_plan import RolloutOptionsError, plan_of, plan_with

FRIDAY = "Fri 16:00-24:00 Europe/Berlin"


def found(**rollout: object) -> set[str]:
    """Return the keys that are broken."""
    data = {"workload": "a", "artifact": {"path": "model.onnx"}, "rollout": rollout}
    return {dotted(one.path) for one in breaches(data)}


def at(text: str) -> float:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_without_rules_the_plan_is_the_default() -> None:
    """What the file leaves out is what the plan says by itself."""
    assert plan_of(RolloutRules()) == RolloutPlan()


def test_the_rules_reach_the_plan() -> None:
    """Shares become basis points, and each strategy has its steps."""
    plan = plan_of(
        RolloutRules(strategy="rolling", shadow=ShadowRules(share="2.5%"), not_during=(FRIDAY,))
    )
    assert plan.strategy is Strategy.ROLLING
    assert plan.steps_bp == (2_500, 5_000, 7_500)
    assert plan.shadow_bp == 250
    assert plan.not_during == (FRIDAY,)
    assert plan_of(RolloutRules(steps=("1%", "12.5%"))).steps_bp == (100, 1_250)


def test_options_change_what_the_workload_says() -> None:
    """What is not given stays; the steps of another strategy are not taken over."""
    rules = RolloutRules(steps=("20%", "60%"), not_during=(FRIDAY,), watch_s=5.0)
    assert plan_with(rules, {}) == plan_of(rules)
    assert plan_with(rules, {"step_min_s": 7}).step_min_s == 7.0
    assert plan_with(rules, {"steps": ["1%"]}).steps_bp == (100,)
    assert plan_with(rules, {"strategy": "blue-green"}).steps_bp == ()


def test_options_that_make_no_plan_are_refused_together() -> None:
    """Each with what is allowed, and none of them as a failure of ours."""
    with pytest.raises(RolloutOptionsError) as refused:
        plan_with(RolloutRules(), {"steps": ["9%", "5%"], "step_min_s": -1, "not_during": ["x"]})
    for fault in ("steps[1]", "step_min_s", "not_during[0]"):
        assert f"`{fault}`" in refused.value.why


@pytest.mark.parametrize(
    ("rollout", "keys"),
    [
        ({"steps": ["5%", "25%"]}, set()),
        ({"steps": ["25%", "5%"]}, {"rollout.steps[1]"}),
        ({"steps": ["5%", "5%"]}, {"rollout.steps[1]"}),
        ({"steps": ["0%", "5%"]}, {"rollout.steps[0]"}),
        ({"steps": ["5%", "100%"]}, {"rollout.steps[1]"}),
        ({"steps": [5]}, {"rollout.steps[0]"}),
        ({"steps": []}, {"rollout.steps"}),
        ({"strategy": "blue-green", "steps": ["5%"]}, {"rollout.steps"}),
        ({"strategy": "big-bang"}, {"rollout.strategy"}),
        ({"not_during": [FRIDAY, "Sat-Sun 00:00-24:00"]}, set()),
        ({"not_during": ["Fryday 16:00-24:00"]}, {"rollout.not_during[0]"}),
        ({"not_during": ["Fri 16:00-25:00"]}, {"rollout.not_during[0]"}),
        ({"not_during": ["Fri 16:00-15:00"]}, {"rollout.not_during[0]"}),
        ({"not_during": ["Fri 16:00-24:00 Mars/Olympus"]}, {"rollout.not_during[0]"}),
        ({"not_during": ["Friday afternoon"]}, {"rollout.not_during[0]"}),
        ({"shadow": {"share": "0%"}}, {"rollout.shadow.share"}),
        ({"shadow": {"share": "100%"}}, set()),
        ({"margins": {"error_ratio": 0.5}}, {"rollout.margins.error_ratio"}),
        ({"approval": "bob"}, {"rollout.approval"}),
        (
            {"steps": ["9%", "5%"], "not_during": ["x 1:00-2:00"], "approval": "bob"},
            {"rollout.steps[1]", "rollout.not_during[0]", "rollout.approval"},
        ),
    ],
)
def test_bad_rules_are_named_together(rollout: dict[str, object], keys: set[str]) -> None:
    """Each fault with its key, all of them at once."""
    assert found(**rollout) == keys


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        (FRIDAY, "2024-01-05T14:59:00", False),  # 15:59 in Berlin
        (FRIDAY, "2024-01-05T15:00:00", True),
        (FRIDAY, "2024-07-05T14:00:00", True),  # 16:00 in summer
        (FRIDAY, "2024-01-05T22:59:00", True),
        (FRIDAY, "2024-01-05T23:00:00", False),  # Saturday there
        ("Sat-Mon 00:00-06:30", "2024-01-08T06:29:00", True),
        ("Sat-Mon 00:00-06:30", "2024-01-08T06:30:00", False),
        ("mon,wed 08:00-09:00 UTC", "2024-01-10T08:30:00", True),
        ("mon,wed 08:00-09:00 UTC", "2024-01-09T08:30:00", False),
        ("daily 23:00-24:00", "2024-01-09T23:59:59", True),
    ],
)
def test_a_window_is_open_in_its_own_time_zone(window: str, moment: str, *, is_open: bool) -> None:
    """From its start, inclusive, to its end, exclusive, by the clocks of the place."""
    assert window_at(("Sun 00:00-00:01", window), at(moment)) == (window if is_open else "")


@given(st.text(max_size=40))
def test_any_text_is_read_or_told_why_not(text: str) -> None:
    """Nothing that somebody writes raises."""
    assert isinstance(read_window(text), ChangeWindow | str)
