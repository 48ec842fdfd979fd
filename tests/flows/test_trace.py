"""One request is followed from its caller to the commit that its answer came from."""

import json
from pathlib import Path

import pytest

from flows.conftest import version
from ports.test_feedback import kept
from ports.written_log import START_S, Log, answered
from servewell.cli.app import run
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.key import Role
from servewell.core.catalog.label import Told
from servewell.core.operations.labelled import labelled
from servewell.core.security.key_change import KeyRequest
from servewell.flows.keys import create_key
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
    who = {"principal": platform.principal, "since": 0.0}
    by_prediction = trace(platform, "id-000002", **who)
    by_trace = trace(platform, "a-trace", **who)
    by_request = trace(platform, "mine", **who)
    assert by_prediction.found_by == "prediction id"
    assert by_trace.record["prediction_id"] == "id-000002"
    assert by_trace.others == ("id-000001",)
    assert by_request.record["prediction_id"] == "id-000001"
    with pytest.raises(RequestMissingError):
        trace(platform, "nothing", **who)
    with pytest.raises(RequestMissingError, match="a-trace") as caught:
        trace(platform, "a-trace", principal=platform.principal)
    assert "--since" in caught.value.fix


@pytest.mark.usefixtures("log")
def test_a_request_tells_what_it_came_from(platform: Platform, endpoint: Endpoint) -> None:
    """Version, package, traffic's change, shadow, label and correction are all there."""
    del endpoint
    outcomes = list(platform.records.find(["id-000002"]))
    for value in (1, 0):
        told = [Told(prediction_id="id-000002", row=0, value=value)]
        found = labelled(told, outcomes, added_at=START_S + 9, principal="ada", source="a.csv")
        platform.labels.add(found.labels)
    platform.feedback.keep([kept("a", prediction_id="id-000002")])
    platform.feedback.keep([kept("b", prediction_id="id-000002", endpoint="trains")])
    one = trace(platform, "id-000002", principal=platform.principal, since=0.0)
    assert one.origin is not None
    assert one.origin.version.package == version(2).package
    assert one.origin.change is not None
    assert one.origin.change.because == "a test"
    assert [record["deployment"] for record in one.shadows] == ["v3"]
    assert [label.corrects for label in one.labels] == [False, True]
    assert one.caller.state == "unknown"
    assert [said.id for said in one.feedback] == ["a"]


@pytest.mark.usefixtures("log", "endpoint")
def test_who_may_not_see_an_endpoint_finds_nothing(platform: Platform) -> None:
    """Another principal without a key that observes the endpoint gets no record of it."""
    with pytest.raises(RequestMissingError):
        trace(platform, "id-000002", principal="eve", since=0.0)


def test_a_trace_of_many_endpoints_shows_those_that_may_be_seen(
    platform: Platform, tmp_path: Path
) -> None:
    """However many newer requests of others have the same id."""
    log = Log(platform.records, tmp_path / "home" / "records")
    one = answered(1, trace_id="a-trace")
    others = [answered(n, endpoint="trains", trace_id="a-trace") for n in range(2, 70)]
    log.write("w0-1-1", [one, *others])
    create_key(platform, KeyRequest(principal="eve", endpoints=("flights",), role=Role.OPERATOR))
    found = trace(platform, "a-trace", principal="eve", since=0.0)
    assert (found.record["prediction_id"], found.others) == ("id-000001", ())


def test_the_id_of_a_prediction_bounds_where_it_is_looked_for(
    platform: Platform, tmp_path: Path
) -> None:
    """Its file is found without any look back; files of other times are not even opened."""
    log = Log(platform.records, tmp_path / "home" / "records")
    ids = [f"{(START_S + hours * 3_600) * 10**9:016x}{hours:016x}" for hours in (0, 5, 10)]
    log.write(
        "w0-1-1",
        [answered(n, after_s=5 * 3_600 * n, prediction_id=one) for n, one in enumerate(ids)],
    )
    log.compact()
    for path in log.folder.rglob("hour=2023-11-15T03/*.parquet"):
        path.write_bytes(b"damaged")
    assert trace(platform, ids[0], principal=platform.principal).record["prediction_id"] == ids[0]
    found = platform.records.find([ids[0], ids[2], "0" * 32, "f" * 32])
    assert sorted(one.prediction_id for one in found) == [ids[0], ids[2]]
    assert list(platform.records.find([ids[1]])) == []


@pytest.mark.usefixtures("log", "endpoint")
def test_a_person_sees_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The words name the stages with bars; `--json` holds the same."""
    home, since = ["--home", str(tmp_path / "home")], ["--since", "2023-11-01"]
    assert run(open_platform, ["trace", "id-000002", *since, *home]) == 0
    words = capsys.readouterr().out
    assert "15 microseconds" in words
    assert "█" in words
    assert "shadow v3" in words
    assert run(open_platform, ["trace", "id-000002", "--json", *since, *home]) == 0
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
