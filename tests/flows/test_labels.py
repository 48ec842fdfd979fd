"""From a file of labels to losses beside predictions."""

import json
from pathlib import Path

import msgspec
import pytest

from ports.written_log import Log, answered
from servewell.cli.app import run
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.profile import ReferenceProfile
from servewell.core.operations.told_labels import LabelColumns, LabelFaultsError
from servewell.flows.labels import add_labels
from servewell.flows.platform import Platform
from servewell.wiring import open_platform

COLUMNS = LabelColumns()


@pytest.fixture
def log(platform: Platform, tmp_path: Path) -> Log:
    """Ten answered predictions, one of two rows, one that failed."""
    log = Log(platform.records, tmp_path / "home" / "records")
    several = answered(10, rows=2, outputs=[[1, 0], [0.25, 0.75, 0.5, 0.5]])
    several = msgspec.structs.replace(
        several, inputs=[[0.5, 1.5], [1, 2], ["AA", "UA"], [1.0, 2.0, 3.0, 4.0], ["t", "u"]]
    )
    failed = answered(11, status=500, outputs=[])
    log.write("w0", [*(answered(number) for number in range(10)), several, failed])
    return log


def written(tmp_path: Path, text: str, name: str = "truth.csv") -> Path:
    """Return a file with this text."""
    path = tmp_path / name
    path.write_text(text)
    return path


def test_labels_stand_beside_what_was_predicted(
    platform: Platform, log: Log, tmp_path: Path
) -> None:
    """Known, unknown, unanswered, of several rows, repeated and corrected: each is counted."""
    path = written(
        tmp_path,
        "prediction_id,label,row\n"
        "id-000000,1,\nid-000001,0,0\nid-000010,0,1\nid-000010,1,7\nid-000011,1,\nid-000099,1,\n",
    )
    dry = add_labels(platform, path, columns=COLUMNS, dry_run=True)
    assert (dry.added, platform.labels.last()) == (3, 0)
    first = add_labels(platform, path, columns=COLUMNS)
    assert (first.rows, first.added, first.unknown, first.unanswered) == (6, 3, 1, 2)
    assert first.unknown_ids == ["id-000099"]
    log.compact()
    again = add_labels(platform, path, columns=COLUMNS)
    assert (again.added, again.corrected, again.repeated) == (0, 0, 3)
    changed = written(tmp_path, '{"prediction_id": "id-000000", "label": 0}\n', "late.jsonl")
    assert add_labels(platform, changed, columns=COLUMNS).corrected == 1
    old, new = platform.labels.history("id-000000")
    assert (old.loss, new.loss) == (0.0625, 0.5625)
    assert (old.deployment, old.measure) == ("champion", "brier")
    [row] = platform.labels.history("id-000010")
    assert (row.row, row.outputs["probabilities"], row.loss) == (1, [0.5, 0.5], 0.25)


def test_a_file_with_faults_changes_nothing(platform: Platform, log: Log, tmp_path: Path) -> None:
    """All faults are told together, wherever they stand."""
    assert log.ids()
    path = written(tmp_path, "prediction_id,label\nid-000000,1\n,1\nid-000001,\n")
    with pytest.raises(LabelFaultsError) as caught:
        add_labels(platform, path, columns=COLUMNS)
    assert caught.value.why == "row 2: `prediction_id` is no text; row 3: `label` is missing"
    assert platform.labels.last() == 0


def test_the_commands_say_what_became_of_labels(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Add, show and status, in words and as JSON."""
    assert log.ids()
    home = ["--home", str(tmp_path / "home")]
    path = written(tmp_path, "id,truth\nid-000000,1\nid-000099,1\n")
    words = ["labels", "add", str(path), "--id-column", "id", "--label-column", "truth", *home]
    words += ["--unknown-max", "50"]
    assert run(open_platform, words) == 0
    said = capsys.readouterr().out
    assert "2 rows: 1 added, 1 of unknown predictions" in said
    assert "unknown here: id-000099" in said
    assert run(open_platform, [*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repeated"] == 1
    assert run(open_platform, ["labels", "show", "id-000000", *home]) == 0
    assert "0.0625 brier" in capsys.readouterr().out
    assert run(open_platform, ["labels", "status", "nowhere", *home]) != 0


def test_a_file_with_half_wrong_ids_counts_by_the_other_half(
    platform: Platform, log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict names the share and the ids, and no figure ever counts an unknown one."""
    assert log.ids()
    rows = [f"id-{number:06},1" for number in (*range(5), *range(70, 75))]
    path = written(tmp_path, "\n".join(["prediction_id,label", *rows]))
    words = ["labels", "add", str(path), "--home", str(tmp_path / "home")]
    assert run(open_platform, words) == 4
    told, fault = capsys.readouterr()
    assert "5 of the 10 labels in `truth.csv` are of no prediction" in fault
    assert "10 rows: 5 added, 5 of unknown predictions" in told
    assert "unknown here: id-000070" in told
    assert "50% of the file counts nowhere" in told
    assert platform.labels.last() == 5
    [known] = platform.labels.status("flights")
    assert known.predictions == 5
    [change] = platform.history.changes("labels")
    assert change.because == (
        "truth.csv: 10 rows, 5 of known predictions (5 added, 0 corrected), 5 of unknown ones"
    )
    assert run(open_platform, [*words, "--unknown-max", "50"]) == 0
    assert run(open_platform, [*words, "--dry-run"]) == 4
    assert len(platform.history.changes("labels")) == 2


def test_a_label_keeps_the_slice_of_its_row(platform: Platform, log: Log, tmp_path: Path) -> None:
    """Out of a segment and out of a compacted file, row by row; nothing undeclared is kept."""
    package = "a" * 64
    deployment = Deployment(
        name="champion", model="flights", version=1, package=package, package_signature=""
    )
    change = Change(
        at=0.0,
        principal="somebody",
        kind=ChangeKind.ENDPOINT_CREATED,
        subject="flights",
        because="a test",
    )
    platform.endpoints.save(
        Endpoint(name="flights", workload="flights", deployments=(deployment,)), change
    )
    profile = ReferenceProfile(
        package=package, version="flights:1", source="", bins=(), slices=("carrier",)
    )
    platform.profiles.keep_reference(profile)
    path = written(tmp_path, "prediction_id,label,row\nid-000010,0,0\n")
    add_labels(platform, path, columns=COLUMNS)
    log.compact()
    path = written(tmp_path, "prediction_id,label,row\nid-000010,0,1\n", "later.csv")
    add_labels(platform, path, columns=COLUMNS)
    first, second = platform.labels.history("id-000010")
    assert (first.slices, second.slices) == ({"carrier": "AA"}, {"carrier": "UA"})
