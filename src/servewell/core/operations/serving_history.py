"""What served at a time, told from the changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from servewell.core.catalog.change import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one endpoint served, and the change that made it so."""

    endpoint: str
    traffic: dict[str, int]  # deployment -> share in basis points; empty where nothing served
    versions: dict[str, str]  # deployment -> `model:number`, of those with traffic
    change: Change


def serving_at(changes: Iterable[Change], at: float) -> tuple[Served, ...]:
    """Return what each endpoint served at `at`, by name; those that did not exist yet are absent.

    The change with the highest revision that was made at or before that moment tells.

    Units: seconds since the epoch; shares in basis points.
    """
    newest: dict[str, Change] = {}
    for change in sorted(changes, key=lambda one: one.revision):
        if change.traffic is not None and change.at <= at:
            newest[change.subject] = change
    return tuple(_served(newest[name]) for name in sorted(newest))


def _served(change: Change) -> Served:
    traffic = {name: share for name, share in (change.traffic or {}).items() if share}
    return Served(
        endpoint=change.subject,
        traffic=traffic,
        versions={name: change.versions.get(name, "") for name in traffic},
        change=change,
    )
