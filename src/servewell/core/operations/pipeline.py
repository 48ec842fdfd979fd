"""Decide whether a step must be run, and what the runs of a pipeline say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from servewell.core.catalog.model import Parameter, digest_of
from servewell.core.catalog.run import ID_SHOWN
from servewell.core.catalog.step import Attempt, Output, Step, Usage
from servewell.core.catalog.workload_steps import StepRules

BAR_WIDTH: Final = 20  # characters
PARTS: Final = {  # of a key, in the words of a reason
    "inputs": "its inputs",
    "code": "its code",
    "parameters": "its parameters",
    "environment": "its environment",
    "files": "its files",
    "workload": "the workload file",
    "dataset": "the data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepForecast:
    """Whether a step would run. Without an output nobody knows yet what those after it would do."""

    name: str
    kind: str
    needed: bool
    because: str
    output: Output | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecision:
    """Whether a step has to run, and the sentence that says why."""

    needed: bool
    because: str


def step_key(parts: Mapping[str, str]) -> str:
    """Return one digest over everything that a step depends on; SHA-256, hex."""
    return digest_of(msgspec.json.encode(parts, order="sorted"))


def digest_of_value(value: object) -> str:
    """Return the digest of a value of ours, by its JSON with sorted keys; SHA-256, hex."""
    return digest_of(msgspec.json.encode(value, order="sorted"))


def decide_step(
    rules: StepRules, *, made: Step | None, last: Step | None, parts: Mapping[str, str]
) -> StepDecision:
    """Return whether a step has to run.

    `made` is an earlier step with the same key whose output is still whole, and `last` the newest
    of the same name in the workload that succeeded.
    """
    if not rules.cached:
        return StepDecision(needed=True, because="it says `cached: false`")
    return decide_cached(made=made, last=last, parts=parts)


def decide_cached(
    *, made: Step | None, last: Step | None, parts: Mapping[str, str]
) -> StepDecision:
    """Return whether a step that may be cached has to run; see `decide_step`."""
    if made is not None:
        return StepDecision(
            needed=False, because=f"nothing changed since run {made.run[:ID_SHOWN]}"
        )
    if last is None:
        return StepDecision(needed=True, because="it has never succeeded")
    changed = changed_parts(last.parts, parts)
    if not changed:
        return StepDecision(
            needed=True, because=f"its output in run {last.run[:ID_SHOWN]} is not whole"
        )
    return StepDecision(needed=True, because=f"{changed} changed since run {last.run[:ID_SHOWN]}")


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in words which parts of a key differ; empty where none does."""
    changed = [about for part, about in PARTS.items() if before.get(part) != now.get(part)]
    return _listed(changed) if changed else ""


def unknown_yet(steps: tuple[StepForecast, ...]) -> str:
    """Return why nobody knows what comes after these steps; empty where all of them are done."""
    first = next((one for one in steps if one.output is None), None)
    return f"the step `{first.name}` has to run: {first.because}" if first else ""


def try_again(step: Step, *, retries: int, failed: bool) -> bool:
    """Whether a step is tried again: its own code `failed`, and an attempt is left."""
    return failed and len(step.attempts) <= retries


def total(attempts: tuple[Attempt, ...]) -> Usage:
    """Return what attempts took together: seconds add up, of memory the most counts."""
    return Usage(
        cpu_s=sum(one.usage.cpu_s for one in attempts),
        memory_bytes=max((one.usage.memory_bytes for one in attempts), default=0),
    )


def told_metrics(steps: tuple[Step, ...]) -> dict[str, float]:
    """Return the metrics of steps as those of their run: `step.metric`."""
    return {f"{step.name}.{name}": value for step in steps for name, value in step.metrics.items()}


def bar_line(step: str, *, share: float, words: str = "") -> str:
    """Return how far a step is, as a line with a bar; `share` is 0..1."""
    full = round(share * BAR_WIDTH)
    bar = "█" * full + "░" * (BAR_WIDTH - full)
    return f"{step} {bar} {share:.0%} {words}".rstrip()


def flat_parameters(
    steps: Mapping[str, StepRules], own: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """Return the parameters of training, and those of the steps as `step.parameter`."""
    of_steps = {
        f"{name}.{key}": value
        for name, rules in steps.items()
        for key, value in rules.parameters.items()
    }
    return {**own, **of_steps}


def _listed(words: list[str]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last
