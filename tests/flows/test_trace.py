"""One request is followed from its caller to the commit that its answer came from."""

import json
from pathlib import Path

import pytest

from flows.conftest import version
from ports.written_log import START_S, Log, answered
from servewell.cli.app import run
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.label import Told
from servewell.core.operations.labelled import labelled
from servewell.flows.monitoring.trace import RequestMissingError, trace
from servewell.flows.platform import Platform
from servewell.wiring import open_platform


@pytest.fixture
def log(platform: Platform, tmp_path: Path) -> Log:
    """A log with a request that a shadow got too, an older one of its trace, and one refused."""
    written = Log(platform.records, tmp_path / "home" / "records")
    one = {"model": "flights:2", "deployment": "v2", "trace_id": "a-trace", "key_id": "k1"}
    written.write("w0-1-1", [answered(1, trace_id="a-trace", request_id="mine")])
    written.compact()
    shadow = {"role": "shadow", "deployment": "v3", "model": "flights:3", "inputs": []}
    written.write(
        "w0-2-1",
        [answered(2, after_s=5, **one), answered(2, after_s=6, **(one | shadow))],
    )
    return written


@pytest.mark.usefixtures("log", "endpoint")
def test_a_request_is_found_by_each_of_its_ids(platform: Platform) -> None:
    """Prediction, trace and request id lead to it, compacted or not; the newest is shown."""
    by_prediction = trace(platform, "id-000002", principal=platform.principal)
    by_trace = trace(platform, "a-trace", principal=platform.principal)
    by_request = trace(platform, "mine", principal=platform.principal)
    assert by_prediction.found_by == "prediction id"
    assert by_trace.record["prediction_id"] == "id-000002"
    assert by_trace.others == ("id-000001",)
    assert by_request.record["prediction_id"] == "id-000001"
    with pytest.raises(RequestMissingError):
        trace(platform, "nothing", principal=platform.principal)


@pytest.mark.usefixtures("log")
def test_a_request_tells_what_it_came_from(platform: Platform, endpoint: Endpoint) -> None:
    """Version, package, traffic's change, shadow, label and correction are all there."""
    del endpoint
    outcomes = list(platform.records.find(["id-000002"]))
    for value in (1, 0):
        told = [Told(prediction_id="id-000002", row=0, value=value)]
        found = labelled(told, outcomes, added_at=START_S + 9, principal="ada", source="a.csv")
        platform.labels.add(found.labels)
    one = trace(platform, "id-000002", principal=platform.principal)
    assert one.origin is not None
    assert one.origin.version.package == version(2).package
    assert one.origin.change is not None
    assert one.origin.change.because == "a test"
    assert [record["deployment"] for record in one.shadows] == ["v3"]
    assert [label.corrects for label in one.labels] == [False, True]
    assert one.caller.state == "unknown"


@pytest.mark.usefixtures("log", "endpoint")
def test_who_may_not_see_an_endpoint_finds_nothing(platform: Platform) -> None:
    """Another principal without a key that observes the endpoint gets no record of it."""
    with pytest.raises(RequestMissingError):
        trace(platform, "id-000002", principal="eve")


@pytest.mark.usefixtures("log", "endpoint")
def test_a_person_sees_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The words name the stages with bars; `--json` holds the same."""
    home = ["--home", str(tmp_path / "home")]
    assert run(open_platform, ["trace", "id-000002", *home]) == 0
    words = capsys.readouterr().out
    assert "15 microseconds" in words
    assert "█" in words
    assert "shadow v3" in words
    assert run(open_platform, ["trace", "id-000002", "--json", *home]) == 0
    assert json.loads(capsys.readouterr().out)["live"]["deployment"] == "v2"


@pytest.mark.usefixtures("log", "endpoint")
def test_a_query_is_answered_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`records query` prints a table, JSON and files, and an error with its place."""
    home = ["--home", str(tmp_path / "home")]
    sql = "SELECT role, count(*) AS n FROM flights GROUP BY 1 ORDER BY 1"
    assert run(open_platform, ["records", "query", sql, "--json", *home]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["answer"] == [{"role": "", "n": 2}, {"role": "shadow", "n": 1}]
    file = tmp_path / "answer.csv"
    assert run(open_platform, ["records", "query", sql, "--csv", str(file), *home]) == 0
    assert file.read_text().splitlines() == ["role,n", ",2", "shadow,1"]
    assert run(open_platform, ["records", "query", "SELEC 1", *home]) == 3
    assert "LINE 1" in capsys.readouterr().err
    assert run(open_platform, ["records", "--limit", "1", *home]) == 0
    assert "id-000002" in capsys.readouterr().out
