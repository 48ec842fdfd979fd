"""What `servewell models profile` found, as tables in the terminal and as a page."""

from collections.abc import Iterable, Sequence
from typing import Final

from servewell.charts.flame import Frame, flame
from servewell.charts.page import page, paragraph, section, table
from servewell.flows.profile_model import Profiled
from servewell.ports.optimiser import NodeTime, Profile

COLOURS: Final = {"decode": 0, "gather": 2, "infer": 1, "encode": 3}
OPERATORS: Final = 1
NODES_MAX: Final = 15  # in the terminal
Rows = list[tuple[str, ...]]


def stages(profile: Profile) -> Rows:
    """Return the rows of the table of the stages: name, p50, p99, share."""
    whole = _whole_us(profile)
    return [
        (one.name, f"{one.us_p50:.1f}", f"{one.us_p99:.1f}", f"{one.us_p50 / whole:.1%}")
        for one in profile.stages
    ]


def operators(profile: Profile) -> Rows:
    """Return the rows of the table of the types of operators: type, how many, time, share."""
    return [
        (name, str(len(those)), f"{_us(those):.2f}", _share(_us(those), profile))
        for name, those in _by_type(profile)
    ]


def nodes(profile: Profile) -> Rows:
    """Return the rows of the table of the operators, slowest first: name, type, time, share."""
    return [
        (one.name, one.operator, f"{one.us:.2f}", _share(one.us, profile))
        for one in sorted(profile.nodes, key=lambda one: -one.us)
    ]


def basis(done: Profiled) -> str:
    """Return the sentence that says what the figures rest on."""
    profile = done.profile
    rows = "1 row" if profile.rows == 1 else f"{profile.rows} rows"
    return (
        f"{profile.calls} requests of {rows}, {profile.runtime} with one thread on "
        f"{profile.processor}"
    )


def report(done: Profiled) -> str:
    """Return the page."""
    profile = done.profile
    return page(
        f"Where the time of {done.version.name} goes",
        [
            paragraph(f"{basis(done)}.", kind="soft"),
            paragraph(
                f"A prediction takes {_whole_us(profile):.1f} microseconds from the bytes of the "
                "request to the bytes of the answer, typically.",
                kind="lead",
            ),
            section(
                "Flame graph",
                flame(_root(profile)),
                paragraph(
                    "As wide as the time that it takes; hover to read a narrow one. Below the "
                    "model the types of its operators, and each of them. What is free beside them "
                    "is ONNX Runtime between operators.",
                    kind="soft",
                ),
            ),
            section(
                "Stages",
                table(("stage", "p50, us", "p99, us", "share"), stages(profile)),
            ),
            section(
                "Types of operators",
                table(("type", "operators", "us a call", "share"), operators(profile)),
            ),
            section(
                "Operators",
                table(("operator", "type", "us a call", "share"), nodes(profile)),
                paragraph(
                    "Operators are timed by ONNX Runtime's profiler in whole microseconds, and "
                    "asking it slows each of them down: compare them with each other. The stages "
                    "are measured without it.",
                    kind="soft",
                ),
            ),
        ],
    )


def _root(profile: Profile) -> Frame:
    whole = _whole_us(profile)
    parts = [
        Frame(
            name=f"{one.name} {one.us_p50:.1f} us",
            value=one.us_p50,
            detail=f"{one.name}: {one.us_p50:.1f} us, {one.us_p50 / whole:.1%}; p99 "
            f"{one.us_p99:.1f} us",
            colour=COLOURS.get(one.name, 5),
            parts=_operators_of(profile, one.us_p50) if one.name == "infer" else (),
        )
        for one in profile.stages
    ]
    return Frame(name=f"prediction {whole:.1f} us", value=whole, colour=5, parts=parts)


def _operators_of(profile: Profile, stage_us: float) -> Sequence[Frame]:
    """Return the types of operators and each of them; they never take more than their stage."""
    scale = min(1.0, stage_us / max(_us(profile.nodes), 1e-9))
    return tuple(
        Frame(
            name=f"{name} {_us(those):.1f} us",
            value=_us(those) * scale,
            detail=f"{name}: {len(those)}, {_us(those):.1f} us, {_share(_us(those), profile)} of "
            "all operators",
            colour=OPERATORS,
            parts=[_operator(one, scale, profile) for one in those],
        )
        for name, those in _by_type(profile)
    )


def _operator(one: NodeTime, scale: float, profile: Profile) -> Frame:
    return Frame(
        name=one.name,
        value=one.us * scale,
        detail=f"{one.operator} {one.name}: {one.us:.2f} us, {_share(one.us, profile)} of all "
        "operators",
        colour=OPERATORS,
    )


def _by_type(profile: Profile) -> list[tuple[str, list[NodeTime]]]:
    """Return the operators of each type, what takes longest first."""
    found: dict[str, list[NodeTime]] = {}
    for one in sorted(profile.nodes, key=lambda one: -one.us):
        found.setdefault(one.operator, []).append(one)
    return sorted(found.items(), key=lambda one: -_us(one[1]))


def _us(those: Iterable[NodeTime]) -> float:
    return sum(one.us for one in those)


def _whole_us(profile: Profile) -> float:
    return sum(one.us_p50 for one in profile.stages) or 1e-9


def _share(us: float, profile: Profile) -> str:
    return f"{us / max(_us(profile.nodes), 1e-9):.1%}"
