"""Rules between the keys below `objectives` of a workload."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servewell.core.catalog.breach import Breach, Path, shown

PLACE: Final[Path] = ("objectives",)
SOURCES: Final = ("endpoint", "upstream", "any_of")


def objective_breaches(objectives: object) -> Iterator[Breach]:
    """Yield what is wrong between the keys of `objectives`."""
    if not isinstance(objectives, Mapping):
        return
    for name in ("availability", "latency", "drift", "quality"):
        yield from _some(objectives, (*PLACE, name))
    if isinstance(freshness := objectives.get("freshness"), Mapping):
        yield from _some(freshness, (*PLACE, "freshness", "goal"))
    depends_on = objectives.get("depends_on")
    for index, one in enumerate(depends_on if isinstance(depends_on, list | tuple) else ()):
        if isinstance(one, Mapping):
            yield from _needed(one, (*PLACE, "depends_on", index))


def _some(rules: Mapping[str, Any], path: Path) -> Iterator[Breach]:
    goal = rules.get(str(path[-1]))
    if isinstance(goal, str) and goal.endswith("%") and not goal.strip("0.%"):
        yield Breach(
            path=path,
            found=shown(goal),
            allowed="more than 0 % and less than 100 %, or `off`",
            hint="a goal that nothing could miss is none",
        )


def _needed(one: Mapping[str, Any], path: Path, *, inner: bool = False) -> Iterator[Breach]:
    sources = SOURCES[:2] if inner else SOURCES
    named = [source for source in sources if source in one]
    if len(named) != 1:
        allowed = "one of " + " and ".join(f"`{source}`" for source in sources)
        found = " beside ".join(f"`{source}`" for source in named) or "none of them"
        yield Breach(path=path, found=found, allowed=allowed, on_key=True)
    if "upstream" in one and "availability" not in one:
        yield Breach(
            path=(*path, "availability"),
            found="nothing: the key is missing",
            allowed="what the owner of the upstream promises, like `99.9%`",
            hint="nothing here measures it",
            missing=True,
        )
    if "availability" in one and "upstream" not in one:
        yield Breach(
            path=(*path, "availability"),
            found="a promise for what is measured here",
            allowed="it with `upstream`",
            on_key=True,
        )
    if one.get("availability") == "off":
        yield Breach(
            path=(*path, "availability"), found=shown("off"), allowed="a share like `99.9%`"
        )
    yield from _some(one, (*path, "availability"))
    any_of = one.get("any_of")
    for index, part in enumerate(any_of if isinstance(any_of, list | tuple) else ()):
        if isinstance(part, Mapping):
            yield from _needed(part, (*path, "any_of", index), inner=True)
