"""What may get traffic, after the gates have spoken."""

from dataclasses import replace

import pytest

from servewell.core.catalog.endpoint import Deployment, Endpoint, Shadow
from servewell.core.catalog.gate import GateOverride, GateReport, GateRow, GateVerdict
from servewell.core.operations.clearance import (
    Clearance,
    decide_clearance,
    growing,
    is_safe,
    newcomers,
    not_compared_with,
    still_counts,
    why_only_a_look,
)

NEW = 2


def report(verdict: GateVerdict, *, overridden: bool = False) -> GateReport:
    """Return what the gates say of the new version."""
    return GateReport(
        id="1",
        version=f"m:{NEW}",
        package=f"package-{NEW}",
        champion=None,
        verdict=verdict,
        because="of its rows",
        rows=(),
        at=0.0,
        override=GateOverride(principal="ada", because="a drill", at=1.0) if overridden else None,
    )


def endpoint(*served: int) -> Endpoint:
    """Return an endpoint that gives all requests to the last of these versions."""
    deployments = tuple(
        Deployment(
            name=f"v{number}",
            model="m",
            version=number,
            package=f"package-{number}",
            package_signature="",
            share_bp=10_000 if number == served[-1] else 0,
        )
        for number in served
    )
    return Endpoint(name="m", workload="m", deployments=deployments)


@pytest.mark.parametrize(
    ("served", "verdict", "overridden", "clearance"),
    [
        ((), GateVerdict.PASS, False, Clearance.SERVE),
        ((), GateVerdict.CANNOT_TELL, False, Clearance.SERVE),
        ((), GateVerdict.FAIL, False, Clearance.KEEP_OUT),
        ((), GateVerdict.FAIL, True, Clearance.SERVE),
        ((1,), GateVerdict.PASS, False, Clearance.ROLL_OUT),
        ((1,), GateVerdict.CANNOT_TELL, False, Clearance.KEEP_OUT),
        ((1,), GateVerdict.CANNOT_TELL, True, Clearance.ROLL_OUT),
        ((1,), GateVerdict.FAIL, False, Clearance.KEEP_OUT),
        ((1,), GateVerdict.FAIL, True, Clearance.ROLL_OUT),
        ((1, 2), GateVerdict.FAIL, False, Clearance.STAY),
        ((2, 1), GateVerdict.PASS, False, Clearance.ROLL_OUT),
        ((2, 1), GateVerdict.FAIL, False, Clearance.KEEP_OUT),
    ],
)
def test_nothing_unproved_takes_traffic_from_what_serves(
    *, served: tuple[int, ...], verdict: GateVerdict, overridden: bool, clearance: Clearance
) -> None:
    """Only a pass or a person's word does; the very first version may also be one of few rows."""
    decision = decide_clearance(endpoint(*served), report(verdict, overridden=overridden))
    assert decision.clearance is clearance
    assert f"m:{NEW}" in decision.because


@pytest.mark.parametrize(
    ("changes", "clearance", "words"),
    [
        ({"withdrawn": "ada took it back: slow"}, Clearance.STAY, "ada took it back: slow"),
        ({"withdrawn": "its rollout ended"}, Clearance.STAY, "`servewell rollouts start m m:2`"),
        ({"quarantined": "it crashed"}, Clearance.KEEP_OUT, "in quarantine as `v2`: it crashed"),
        ({"quarantined": "a", "withdrawn": "b"}, Clearance.KEEP_OUT, "in quarantine"),
    ],
)
def test_what_was_taken_back_does_not_come_again_by_itself(
    changes: dict[str, str], clearance: Clearance, words: str
) -> None:
    """It is said who took it back, or why no worker runs it; only a person begins again."""
    before = endpoint(2, 1)
    ill = replace(before.deployments[0], **changes)  # type: ignore[arg-type]  # texts, all of them
    before = replace(before, deployments=(ill, *before.deployments[1:]))
    decision = decide_clearance(before, report(GateVerdict.PASS))
    assert decision.clearance is clearance
    assert words in decision.because
    assert decision.quarantined == changes.get("quarantined", "")


def test_what_gets_copies_goes_on_with_them() -> None:
    """A shadow that a person began is no version that was replaced."""
    before = replace(endpoint(2, 1), shadow=Shadow(deployment="v2", share_bp=100))
    assert decide_clearance(before, report(GateVerdict.PASS)).clearance is Clearance.STAY


def test_a_share_grows_unless_it_was_there_before() -> None:
    """Of a split to come, what gets more than now; a split that was has passed its gates."""
    before = endpoint(1, 2, 3)
    grown = growing(before, {"v1": 5_000, "v3": 5_000})
    assert [one.name for one in grown] == ["v1"]
    known = replace(before, past=((("v1", 5_000), ("v3", 5_000)),))
    assert growing(known, {"v3": 5_000, "v1": 5_000}) == ()


def test_an_endpoint_that_is_not_there_serves_its_first_version() -> None:
    """Before the first `up` there is none."""
    decision = decide_clearance(None, report(GateVerdict.PASS))
    assert decision.clearance is Clearance.SERVE


def test_a_first_version_of_which_nothing_was_measured_is_kept_out() -> None:
    """Too few rows is one thing, a model that could not even be run another."""
    unmeasured = replace(report(GateVerdict.CANNOT_TELL), measured=False)
    assert decide_clearance(None, unmeasured).clearance is Clearance.KEEP_OUT


@pytest.mark.parametrize(
    ("served", "champion", "overridden", "lacks"),
    [
        ((), None, False, ""),
        ((1,), "m:1", False, ""),
        ((1,), None, False, "m:1"),
        ((1, 3), "m:1", False, "m:3"),
        ((1, 3), "m:1", True, ""),
        ((1, 2), None, False, ""),
    ],
)
def test_a_report_counts_against_what_it_was_judged_beside(
    *, served: tuple[int, ...], champion: str | None, overridden: bool, lacks: str
) -> None:
    """What serves most now, unless it is the version itself, or a person gave a word."""
    found = replace(report(GateVerdict.PASS, overridden=overridden), champion=champion)
    assert not_compared_with(endpoint(*served) if served else None, found) == lacks


@pytest.mark.parametrize(
    ("changes", "served", "counts"),
    [
        ({}, (1,), True),
        ({"champion": "m:3"}, (1,), False),
        ({"rules": "others"}, (1,), False),
        ({"measured": False}, (1,), False),
        ({"rules": "others", "measured": False}, (1, 2), True),
    ],
)
def test_a_version_is_judged_again_where_its_report_says_nothing_any_more(
    changes: dict[str, object], served: tuple[int, ...], *, counts: bool
) -> None:
    """Other rules, another champion, a measuring that failed; never while the version serves."""
    known = replace(report(GateVerdict.PASS), champion="m:1", rules="these")
    known = replace(known, **changes)  # type: ignore[arg-type]  # the table names right fields
    found = still_counts(known, endpoint=endpoint(*served), champion="m:1", rules="these")
    assert found is counts


def test_a_word_on_a_report_that_measured_nothing_stays() -> None:
    """Else each `up` would take back what a person decided."""
    known = replace(report(GateVerdict.CANNOT_TELL, overridden=True), measured=False)
    assert still_counts(known, endpoint=None, champion=None, rules="")


def test_only_what_had_no_requests_of_late_is_a_newcomer() -> None:
    """To go back to what served a moment ago needs no gate."""
    before = endpoint(1, 2, 3)
    shares = {"v1": 5_000, "v2": 2_000, "v3": 3_000, "v9": 1}
    assert [one.name for one in newcomers(before, shares)] == ["v1", "v2"]
    before = replace(before, past=((("v1", 10_000), ("v2", 0)),))
    assert [one.name for one in newcomers(before, shares)] == ["v2"]


@pytest.mark.parametrize(
    ("champion", "serving", "folder", "remembered", "words"),
    [
        ("m:1", "m:1", "/a", "/a", ""),
        (None, None, "/a", "", ""),
        (None, "m:1", "/a", "/a", "by itself, and m:1 serves most"),
        ("m:1", "m:3", "/a", "/a", "against m:1, and m:3 serves most"),
        ("m:1", None, "/a", "/a", "nothing else serves"),
        ("m:1", "m:1", "/b", "/a", "last brought up in /a, and not in /b"),
    ],
)
def test_who_chooses_the_champion_or_the_gates_only_looks(
    champion: str | None, serving: str | None, folder: str, remembered: str, words: str
) -> None:
    """A report counts that was made as the platform itself would make it."""
    found = why_only_a_look(
        champion=champion, serving=serving, folder=folder, remembered=remembered
    )
    assert words in found
    assert bool(words) is bool(found)


@pytest.mark.parametrize(
    ("verdicts", "safe"),
    [
        ((), False),
        ((GateVerdict.PASS,), True),
        ((GateVerdict.PASS, GateVerdict.CANNOT_TELL), False),
        ((GateVerdict.PASS, GateVerdict.FAIL), False),
    ],
)
def test_a_package_is_safe_only_where_it_was_scanned(
    verdicts: tuple[GateVerdict, ...], *, safe: bool
) -> None:
    """What was not looked through is not safe, and other groups say nothing of it."""
    rows = [GateRow(group="size", gate="g", verdict=GateVerdict.PASS, because="")]
    rows += [GateRow(group="security", gate="g", verdict=one, because="") for one in verdicts]
    assert is_safe(replace(report(GateVerdict.PASS), rows=tuple(rows))) is safe
