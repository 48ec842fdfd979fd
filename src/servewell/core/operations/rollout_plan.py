"""The plan that the rules of a workload make."""

from collections.abc import Mapping
from typing import Final

import msgspec

from servewell.core.catalog.rollout import Margins, RolloutPlan, Strategy
from servewell.core.catalog.workload_rollout import RolloutRules
from servewell.core.catalog.workload_rules import breaches, dotted
from servewell.core.operations.traffic import parse_share
from servewell.errors import ServewellError

STEPS: Final[Mapping[Strategy, tuple[str, ...]]] = {
    Strategy.CANARY: ("5%", "25%", "50%"),
    Strategy.SHADOW_THEN_CANARY: ("5%", "25%", "50%"),
    Strategy.ROLLING: ("25%", "50%", "75%"),
    Strategy.BLUE_GREEN: (),
}


class RolloutOptionsError(ServewellError):
    """What was asked for makes no plan of a rollout."""

    code = "SW-156"


def plan_with(rules: RolloutRules, changes: Mapping[str, object]) -> RolloutPlan:
    """Return the plan of rules with changes, given as the keys of a workload file.

    Steps of another strategy are not taken over.

    Raises: RolloutOptionsError, with every fault.
    """
    known: dict[str, object] = msgspec.json.decode(msgspec.json.encode(rules))
    written = {name: one for name, one in known.items() if one is not None}
    if changes.get("strategy", rules.strategy) != rules.strategy:
        written.pop("steps", None)
    written |= changes
    whole = {"workload": "a", "artifact": {"path": "a"}, "rollout": written}
    if faults := [one for one in breaches(whole) if one.path[:1] == ("rollout",)]:
        raise RolloutOptionsError(
            "The rollout cannot be made so.",
            why="; ".join(
                f"`{dotted(one.path[1:])}` is {one.found}, allowed is {one.allowed}"
                + (f" ({one.hint})" if one.hint else "")
                for one in faults
            ),
            fix="correct the options, or the keys below `rollout:` of the workload; "
            "`servewell rollouts start --help` names them",
        )
    return plan_of(msgspec.convert(written, RolloutRules))


def plan_of(rules: RolloutRules) -> RolloutPlan:
    """Return the plan of rules that were checked when their file was read."""
    strategy, margins, shadow = Strategy(rules.strategy), rules.margins, rules.shadow
    return RolloutPlan(
        strategy=strategy,
        steps_bp=tuple(parse_share(one) for one in rules.steps or STEPS[strategy]),
        step_min_s=rules.step_min_s,
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
