"""In which order the steps of a workload run, and what is wrong between them."""

from collections.abc import Iterator, Mapping
from typing import Any

from servewell.core.catalog.breach import Breach, shown
from servewell.core.catalog.workload_steps import TRAIN, StepRules


def steps_before_training(steps: Mapping[str, StepRules]) -> tuple[str, ...]:
    """Return the steps that training may use, each after those that it needs."""
    after = set(steps_after_training(steps))
    return tuple(name for name in _ordered(steps) if name not in after)


def steps_after_training(steps: Mapping[str, StepRules]) -> tuple[str, ...]:
    """Return the steps that need training, also through others, each after those that it needs."""
    after = {TRAIN}
    ordered = _ordered(steps)
    for name in ordered:
        if after & set(steps[name].needs or ()):
            after.add(name)
    return tuple(name for name in ordered if name in after)


def step_breaches(data: Mapping[str, object]) -> Iterator[Breach]:
    """Yield what is wrong between the steps of a workload, as it was written."""
    steps = _mapping(data.get("steps"))
    needs = {str(name): _names(_mapping(rules).get("needs")) for name, rules in steps.items()}
    if TRAIN in steps:
        yield Breach(
            path=("steps", TRAIN),
            found="a step named `train`",
            allowed="another name: `train` is the step that makes the model",
            on_key=True,
        )
    for name, wanted in needs.items():
        for place, one in enumerate(wanted):
            if one not in needs and one != TRAIN:
                yield _unknown(("steps", name, "needs", place), one, needs)
    yield from _cycles(needs)
    yield from _data_step(data, needs)


def _unknown(path: tuple[str | int, ...], name: str, steps: Mapping[str, object]) -> Breach:
    known = ", ".join(f"`{one}`" for one in (*steps, TRAIN))
    return Breach(path=path, found=f"{shown(name)}, which is no step", allowed=f"one of {known}")


def _cycles(needs: Mapping[str, list[str]]) -> Iterator[Breach]:
    """Yield one breach for each circle of steps, at the first of them that is written."""
    told: set[str] = set()
    for name in needs:
        circle = _circle(name, needs)
        if circle and not told & set(circle):
            told |= set(circle)
            yield Breach(
                path=("steps", name, "needs"),
                found=" needs ".join(f"`{one}`" for one in (*circle, name)),
                allowed="steps that do not, in the end, need themselves",
                hint="take one of these needs away",
            )


def _circle(start: str, needs: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return the shortest way from a step back to itself; empty where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    for way in ways:
        for one in needs.get(way[-1], ()):
            if one == start:
                return way
            if one not in seen:
                seen.add(one)
                ways.append((*way, one))
    return ()


def _data_step(data: Mapping[str, object], needs: Mapping[str, list[str]]) -> Iterator[Breach]:
    rules = _mapping(data.get("data"))
    step, path = rules.get("step"), rules.get("path")
    if not isinstance(step, str):
        return
    if isinstance(path, str) and (path.startswith("/") or ".." in path.split("/")):
        yield Breach(
            path=("data", "path"),
            found=f"{shown(path)}, which is outside the output of the step",
            allowed="a path inside the output folder of the step, relative to it",
        )
    if step not in needs:
        yield Breach(
            path=("data", "step"),
            found=f"{shown(step)}, which is no step",
            allowed=f"one of {', '.join(f'`{one}`' for one in needs)}" if needs else "a step",
            hint="" if needs else "write it under `steps`",
        )
    elif _reaches(step, needs):
        yield Breach(
            path=("data", "step"),
            found=f"`{step}`, which needs `train`",
            allowed="a step that runs before training",
        )


def _reaches(start: str, needs: Mapping[str, list[str]]) -> bool:
    """Whether a step needs training, also through others."""
    found = [start]
    for one in found:
        found += [other for other in needs.get(one, ()) if other not in found]
    return TRAIN in found


def _ordered(steps: Mapping[str, StepRules]) -> tuple[str, ...]:
    """Return the steps as they are written, but each after those that it needs."""
    done: dict[str, None] = {}

    def add(name: str) -> None:
        if name in steps and name not in done:
            for one in steps[name].needs or ():
                add(one)
            done[name] = None

    for name in steps:
        add(name)
    return tuple(done)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _names(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
