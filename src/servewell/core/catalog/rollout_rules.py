"""Rules between the keys below `rollout` of a workload."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servewell.core.catalog.breach import Breach, Path, shown
from servewell.core.catalog.change_window import SHAPELESS, read_window

PLACE: Final[Path] = ("rollout",)


def rollout_breaches(rollout: object) -> Iterator[Breach]:
    """Yield what is wrong between the keys of `rollout`, and with its steps and windows."""
    if isinstance(rollout, Mapping):
        yield from _steps_rise(rollout.get("steps"))
        yield from _steps_are_used(rollout)
        yield from _windows_can_be_read(rollout.get("not_during"))
        yield from _shares_are_some(rollout)


def _steps_rise(steps: object) -> Iterator[Breach]:
    before = 0.0
    for index, one in enumerate(steps if isinstance(steps, list | tuple) else ()):
        share = _number(one)
        if share is None:
            continue  # the type of the key says it
        if share <= before:
            yield Breach(
                path=(*PLACE, "steps", index),
                found=shown(one),
                allowed=f"more than {before:g}%",
                hint="each step gives the candidate more than the one before it",
            )
        before = max(before, share)


def _steps_are_used(rollout: Mapping[str, Any]) -> Iterator[Breach]:
    if rollout.get("strategy") == "blue-green" and "steps" in rollout:
        yield Breach(
            path=(*PLACE, "steps"),
            found="steps beside `strategy: blue-green`",
            allowed="steps with the other strategies",
            hint="blue-green gives all requests at once; leave the key out",
            on_key=True,
        )


def _windows_can_be_read(windows: object) -> Iterator[Breach]:
    for index, one in enumerate(windows if isinstance(windows, list | tuple) else ()):
        fault = read_window(one) if isinstance(one, str) else SHAPELESS
        if isinstance(fault, str) and fault != SHAPELESS:  # of that the type of the key speaks
            yield Breach(
                path=(*PLACE, "not_during", index),
                found=shown(one),
                allowed="days, hours and a time zone, like `Fri 16:00-24:00 Europe/Berlin`",
                hint=fault,
            )


def _shares_are_some(rollout: Mapping[str, Any]) -> Iterator[Breach]:
    shadow = rollout.get("shadow")
    share = shadow.get("share") if isinstance(shadow, Mapping) else None
    if _number(share) == 0:
        yield Breach(
            path=(*PLACE, "shadow", "share"),
            found=shown(share),
            allowed="more than 0 %",
            hint="of no copies nothing can be learned",
        )


def _number(share: object) -> float | None:
    """Return the percentage that a text like `2.5%` holds, or None."""
    try:
        return float(share.removesuffix("%")) if isinstance(share, str) else None
    except ValueError:
        return None
