"""The plan that the rules of a workload make."""

from collections.abc import Mapping
from typing import Final

from servewell.core.catalog.rollout import Margins, RolloutPlan, Strategy
from servewell.core.catalog.workload_rollout import RolloutRules
from servewell.core.operations.traffic import parse_share

STEPS: Final[Mapping[Strategy, tuple[str, ...]]] = {
    Strategy.CANARY: ("5%", "25%", "50%"),
    Strategy.SHADOW_THEN_CANARY: ("5%", "25%", "50%"),
    Strategy.ROLLING: ("25%", "50%", "75%"),
    Strategy.BLUE_GREEN: (),
}


def plan_of(rules: RolloutRules) -> RolloutPlan:
    """Return the plan of rules that were checked when their file was read."""
    strategy, margins, shadow = Strategy(rules.strategy), rules.margins, rules.shadow
    return RolloutPlan(
        strategy=strategy,
        steps_bp=tuple(parse_share(one) for one in rules.steps or STEPS[strategy]),
        step_s=rules.step_s,
        longest_s=rules.longest_s,
        watch_s=rules.watch_s,
        alpha=rules.alpha,
        requests_min=rules.requests_min,
        margins=Margins(
            error_ratio=margins.error_ratio,
            error_excess=margins.error_excess,
            latency_ratio=margins.latency_ratio,
            slow_ratio=margins.slow_ratio,
            score_psi=margins.score_psi,
            loss=margins.loss,
        ),
        shadow_bp=parse_share(shadow.share),
        shadow_requests=shadow.requests,
        disagreement_max=shadow.disagreement_max,
        difference_max=shadow.difference_max,
        approval=rules.approval,
        not_during=rules.not_during or (),
        on_inconclusive=rules.on_inconclusive,
    )
