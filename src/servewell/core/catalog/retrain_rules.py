"""Rules between the keys below `retrain` of a workload."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servewell.core.catalog.breach import Breach, Path, shown
from servewell.core.catalog.cron import cron_fault, zone_fault

PLACE: Final[Path] = ("retrain",)


def retrain_breaches(data: Mapping[str, Any]) -> Iterator[Breach]:
    """Yield what is wrong between the keys of `retrain`, and between them and `data`."""
    rules = data.get("retrain")
    if not isinstance(rules, Mapping):
        return
    yield from _times(rules)
    yield from _data(rules, has_data="data" in data)
    if isinstance(watch := rules.get("watch"), Mapping):
        yield from _watched(watch)


def _times(rules: Mapping[str, Any]) -> Iterator[Breach]:
    schedule, zone = rules.get("schedule"), rules.get("time_zone")
    if isinstance(schedule, str) and schedule and (fault := cron_fault(schedule)):
        yield Breach(
            path=(*PLACE, "schedule"),
            found=f"{shown(schedule)}: {fault}",
            allowed="minute, hour, day of month, month and day of week, as in `0 3 * * 1`",
        )
    if isinstance(zone, str) and zone and (fault := zone_fault(zone)):
        yield Breach(
            path=(*PLACE, "time_zone"),
            found=f"{shown(zone)}: {fault}",
            allowed="a name of the IANA database, such as `UTC` or `Europe/Berlin`",
        )


def _data(rules: Mapping[str, Any], *, has_data: bool) -> Iterator[Breach]:
    on_new_data, pattern = rules.get("on_new_data"), rules.get("data_pattern")
    if on_new_data is True and not has_data:
        yield Breach(
            path=(*PLACE, "on_new_data"),
            found="`true` in a workload without `data`",
            allowed="it where `data` names rows",
        )
    if pattern is not None and on_new_data is not True:
        yield Breach(
            path=(*PLACE, "data_pattern"),
            found="a pattern that nothing looks for",
            allowed="it with `on_new_data: true`",
            on_key=True,
        )
    if isinstance(pattern, str) and (pattern.startswith("/") or ".." in pattern.split("/")):
        yield Breach(
            path=(*PLACE, "data_pattern"),
            found=f"{shown(pattern)}, which leads out of the folder",
            allowed="a pattern below the folder of the workload file",
        )


def _watched(watch: Mapping[str, Any]) -> Iterator[Breach]:
    named = [one for one in ("folder", "mlflow") if one in watch]
    if len(named) != 1:
        found = "both `folder` and `mlflow`" if named else "neither `folder` nor `mlflow`"
        yield Breach(path=(*PLACE, "watch"), found=found, allowed="one of them", on_key=True)
    if "model" in watch and "mlflow" not in watch:
        yield Breach(
            path=(*PLACE, "watch", "model"),
            found="the name of a model in no registry",
            allowed="it with `mlflow`",
            on_key=True,
        )
