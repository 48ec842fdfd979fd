"""What rules would have said: those that hold, and those of a file that is only tried."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from servewell.cli.app import app
from servewell.cli.context import Session
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.workload import Artifact, Workload
from servewell.flows.monitoring.alert_replay import differences, looks_of, replay
from servewell.flows.monitoring.edited_workload import read_edited, with_workload
from servewell.flows.monitoring.monitors import Monitor
from servewell.flows.platform import Platform
from servewell.ports.state import StateConflictError

FILE = """
workload: flights
artifact: {path: model.onnx}
alerts:
  kinds:
    latency: {severity: note}
    drift: {mute: true}
"""


@pytest.fixture
def edited(platform: Platform, endpoint: Endpoint, tmp_path: Path) -> KnownWorkload:
    """Return the workload of the endpoint as another file has it."""
    assert endpoint.name == "flights"
    platform.workloads.save(
        KnownWorkload(
            name="flights",
            folder=str(tmp_path),
            digest="",
            workload=Workload(workload="flights", artifact=Artifact(path="model.onnx")),
            at=0.0,
            principal="anna",
            scheduled_from=0.0,
        )
    )
    (tmp_path / "model.onnx").touch()
    (tmp_path / "new.yaml").write_text(FILE)
    return read_edited(platform, tmp_path / "new.yaml")


def test_an_edited_file_is_tried_beside_the_rules_that_hold(
    platform: Platform, edited: KnownWorkload
) -> None:
    """By the same monitors at the same times; what both say alike is no difference."""
    until = platform.clock.now()

    def past(_: Platform, *, now: float) -> tuple[Signal, ...]:
        slow = Signal(
            kind=SignalKind.LATENCY,
            severity=Severity.PAGE,
            endpoint="flights",
            since=until - 7_200,
            what="It is slow.",
            because="it was measured",
        )
        drift = replace(slow, kind=SignalKind.DRIFT, severity=Severity.TICKET)
        fed = replace(slow, kind=SignalKind.FRESHNESS)
        return (slow, drift, fed) if now > until - 7_200 else ()

    kinds = frozenset({SignalKind.LATENCY, SignalKind.DRIFT, SignalKind.FRESHNESS})
    monitors = [Monitor(name="past", signals=past, kinds=kinds)]
    tried = with_workload(platform, edited)
    before, after = (
        replay(one, days=0.2, every_s=600, until=until, monitors=monitors)
        for one in (platform, tried)
    )
    found = {one.key: one for one in differences(before, after)}
    assert set(found) == {"latency/flights//", "drift/flights//"}
    assert found["latency/flights//"].severity == ("page", "note")
    assert found["drift/flights//"].alerts == (1, 0)
    assert differences(before, before) == ()
    assert before.cannot


def test_nothing_can_be_kept_of_what_is_tried(platform: Platform, edited: KnownWorkload) -> None:
    """The workload is the edited one there, and as it was in the home."""
    tried = with_workload(platform, edited)
    assert tried.workloads.list() == (edited,)
    assert tried.workloads.get("flights").workload.alerts.kinds["drift"].mute
    with pytest.raises(StateConflictError):
        tried.workloads.save(edited)
    assert platform.workloads.get("flights").workload.alerts.kinds == {}


def test_the_command_line_shows_both(
    platform: Platform, edited: KnownWorkload, tmp_path: Path
) -> None:
    """As words and as JSON; more looks than anybody waits for are refused."""
    assert edited.name == "flights"

    def run(*words: str) -> str:
        session = Session(open_platform=lambda _: platform)
        line = ["alerts", "replay", "--workload", str(tmp_path / "new.yaml"), *words]
        return CliRunner().invoke(app, line, obj=session, catch_exceptions=False).output

    words = run("--days", "0.01", "--every", "5m")
    assert "as the rules are now" in words
    assert "both say the same" in words
    assert "a replay cannot know it all" in words
    read = msgspec.json.decode(run("--days", "0.01", "--every", "5m", "--json"))
    assert set(read) == {"now", "edited", "differences"}
    assert looks_of(400, 60) > 20_000
    assert "20,000 looks at most" in run("--days", "400", "--every", "1m")
