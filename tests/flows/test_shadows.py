"""A shadow by hand, from its start to what it shows, with a real state and a real log."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from flows.rollout_world import passed
from ports.written_log import Log, answered
from servewell.cli.app import run
from servewell.core.catalog.endpoint import BP_FULL, Endpoint, Shadow
from servewell.core.catalog.evidence_cursor import CursorUnreadableError
from servewell.core.catalog.prediction_record import SHADOW
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.rollout_start import RolloutImpossibleError
from servewell.core.operations.shadowing import ShadowImpossibleError
from servewell.core.operations.traffic import TrafficInvalidError
from servewell.flows.platform import Platform
from servewell.flows.release import deploy
from servewell.flows.rollouts import start_rollout
from servewell.flows.shadows import observe_shadows, show_shadow, start_shadow, stop_shadow
from servewell.ports.gates import GatesNotPassedError
from servewell.ports.rollouts import RolloutBusyError
from servewell.ports.shadows import ShadowMissingError
from servewell.wiring import open_platform


@pytest.fixture
def log(platform: Platform, endpoint: Endpoint, tmp_path: Path) -> Log:
    """Serve the first version; the second may get copies."""
    del endpoint
    deploy(platform, "flights", model="flights", number=1)
    platform.gates.keep(passed(platform.registry.get("flights", 2)))
    return Log(platform.records, tmp_path / "home" / "records")


def begin(platform: Platform, *, share_bp: int = BP_FULL, number: int = 2) -> None:
    """Start the shadow."""
    start_shadow(
        platform,
        "flights",
        model="flights",
        number=number,
        share_bp=share_bp,
        difference_max=0.05,
    )


def record(log: Log, stem: str, numbers: range) -> None:
    """Write answers and the shadow's: every fourth differs."""
    records = []
    for number in numbers:
        chance = 0.75 if number % 4 else 0.9
        carrier = "AA" if number % 8 else "UA"
        inputs = [[0.5], [number], [carrier], [0.25, 1.5], ["token"]]
        live = answered(number, after_s=number, deployment="v1", inputs=inputs)
        outputs = [[1], [1 - chance, chance]]
        copy = {"role": SHADOW, "deployment": "v2", "inputs": [], "outputs": outputs}
        records += [live, msgspec.structs.replace(live, **copy)]
    log.write(stem, records)


def test_a_shadow_begins_is_compared_and_ends(platform: Platform, log: Log) -> None:
    """Over two looks and a compaction nothing counts twice, and what was compared stays."""
    begin(platform)
    assert platform.endpoints.get("flights").shadow == Shadow(deployment="v2", share_bp=BP_FULL)
    record(log, "w0", range(20))
    observe_shadows(platform)
    record(log, "w1", range(20, 40))
    log.compact()
    shown = show_shadow(platform, "flights")
    assert (shown.comparison.requests, shown.comparison.differing) == (40, 10)
    assert shown.comparison.slices["carrier"]["UA"].differing == 5
    stop_shadow(platform, "flights")
    after = platform.endpoints.get("flights")
    assert (after.shadow, [one.name for one in after.deployments]) == (None, ["v1"])
    ended = show_shadow(platform, "flights")
    assert ended.ended_at is not None
    assert ended.comparison == shown.comparison
    with pytest.raises(ShadowMissingError):
        stop_shadow(platform, "flights")
    begin(platform)
    assert show_shadow(platform, "flights").comparison.requests == 0


def test_what_is_impossible_is_refused_with_its_reason(platform: Platform, log: Log) -> None:
    """No copies without gates, of nothing, to who answers callers, or to two."""
    assert log.ids() == []
    with pytest.raises(ShadowMissingError):
        show_shadow(platform, "flights")
    with pytest.raises(GatesNotPassedError):
        begin(platform, number=3)
    with pytest.raises(TrafficInvalidError, match="above nothing"):
        begin(platform, share_bp=0)
    platform.gates.keep(passed(platform.registry.get("flights", 1)))
    with pytest.raises(ShadowImpossibleError, match="answers callers itself"):
        begin(platform, number=1)
    begin(platform)
    with pytest.raises(ShadowImpossibleError, match="has a shadow already"):
        begin(platform)


def test_a_shadow_and_a_rollout_do_not_run_at_once(platform: Platform, log: Log) -> None:
    """Neither takes the copies of the other, from its start to its end."""
    assert log.ids() == []
    begin(platform)
    second = platform.registry.get("flights", 2)
    with pytest.raises(RolloutImpossibleError, match="has a shadow"):
        start_rollout(platform, "flights", second, plan=RolloutPlan(), because="")
    stop_shadow(platform, "flights")
    start_rollout(platform, "flights", second, plan=RolloutPlan(), because="")
    with pytest.raises(RolloutBusyError):
        begin(platform)
    with pytest.raises(RolloutBusyError):
        stop_shadow(platform, "flights")


def test_one_that_cannot_be_observed_holds_up_no_other_and_can_be_ended(
    platform: Platform, log: Log
) -> None:
    """Its fault is told when the others were looked at; its end says what was not seen."""
    begin(platform)
    run = platform.shadows.list("flights")[0]
    change = platform.history.changes("flights")[-1]
    other = replace(platform.endpoints.get("flights"), name="arrivals", revision=0)
    other = platform.endpoints.save(other, replace(change, subject="arrivals"))
    broken = replace(run, endpoint="arrivals", cursor="no cursor", revision=0)
    platform.shadows.save(broken, endpoint=other, change=replace(change, subject="arrivals"))
    record(log, "w0", range(8))
    with pytest.raises(CursorUnreadableError):
        observe_shadows(platform)
    assert platform.shadows.list("flights")[0].comparison.requests == 8
    stop_shadow(platform, "arrivals")
    ended = platform.shadows.list("arrivals")[0]
    assert ended.ended_at is not None
    assert len(ended.comparison.gaps) == 1


def test_the_commands_show_it_in_words_as_a_page_and_as_json(
    platform: Platform, log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From start to stop, also without a home that serves; a dry run changes nothing."""
    home = ["--home", str(tmp_path / "home")]
    start = ["shadow", "start", "flights", "flights:2", "--share", "100%", *home]
    assert run(open_platform, [*start, "--dry-run"]) == 0
    assert "would be: flights:2 gets copies of 100 %" in capsys.readouterr().out
    assert platform.shadows.list() == ()
    assert run(open_platform, start) == 0
    assert run(open_platform, ["shadow", "show", "flights", *home]) == 0
    assert "Nothing can be said of `v2` (flights:2) yet" in capsys.readouterr().out
    record(log, "w0", range(40))
    page = tmp_path / "shadow.html"
    assert run(open_platform, ["shadow", "show", "flights", "--html", str(page), *home]) == 0
    said = capsys.readouterr().out
    assert "answers 25.00% of 40 rows differently" in said
    assert "carrier = UA" not in said  # of too few rows
    assert "carrier = AA" in said
    assert "<svg" in page.read_text()
    assert run(open_platform, ["shadow", "show", "flights", "--json", *home]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["comparison"]["disagreement"] == 0.25
    assert told["comparison"]["waiting"] == 0
    assert run(open_platform, ["shadow", "stop", "flights", *home]) == 0
    assert run(open_platform, ["shadow", "stop", "flights", *home]) != 0
    assert "SW-240" in capsys.readouterr().err


def test_a_shadow_that_gets_no_copies_any_more_has_ended(platform: Platform, log: Log) -> None:
    """As when a rollout took its place at the endpoint."""
    assert log.ids() == []
    begin(platform)
    change = platform.history.changes("flights")[-1]
    platform.endpoints.save(replace(platform.endpoints.get("flights"), shadow=None), change)
    assert show_shadow(platform, "flights").ended_at is not None
    assert platform.shadows.list(open_only=True) == ()


def test_one_prediction_is_shown_with_both_answers(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id both; else what callers got, unless it is asked for."""
    record(log, "w0", range(3))
    words = ["records", "--json", "--home", str(tmp_path / "home")]

    def roles(*more: str) -> list[str]:
        assert run(open_platform, [*words, *more]) == 0
        return [one["role"] for one in json.loads(capsys.readouterr().out)]

    assert roles("--id", "id-000001") == ["", SHADOW]
    assert roles("flights") == [""] * 3
    assert roles("--role", "shadow") == [SHADOW] * 3
    assert len(roles("--role", "all")) == 6
