"""Judging a version: what is measured becomes a report, kept with its page and its document."""

import base64
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ports.judged_models import few, folder_of_data, made
from servewell.cli.app import run
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.gate import GateReport, GateVerdict
from servewell.core.catalog.model import (
    Equivalence,
    Format,
    Lineage,
    Manifest,
    ModelVersion,
    manifest_bytes,
)
from servewell.core.catalog.workload import Artifact, Data, Workload
from servewell.core.catalog.workload_gates import GateRules
from servewell.core.operations.clearance import is_safe
from servewell.core.operations.gates import groups_of
from servewell.flows.gates import judge_version, rules_of
from servewell.flows.gates_by_hand import OverrideInvalidError, override
from servewell.flows.platform import Platform
from servewell.ports.evaluator import BehaviourFileError
from servewell.ports.gates import GatesNotPassedError
from servewell.wiring import open_platform

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

TESTS = """
- name: more wind does not help
  change: {wind: 60}
  expect: not lower
  rows: 200
"""
WORKLOAD = Workload(
    workload="flights",
    data=Data(path="rows.parquet", label="late"),
    artifact=Artifact(path="model.onnx"),
    gates=GateRules(behaviour="behaviour.yaml"),
)


def registered(platform: Platform, name: str, **changes: object) -> ModelVersion:
    """Return a registered, signed version of a small model."""
    path, signature = made(name)
    lineage = Lineage(
        run="r", format=Format.ONNX, source="model.onnx", source_digest="", dataset=None,
        dataset_digest=None, commit=None, dirty=False, environment_digest="",
    )  # fmt: skip
    whole = {
        "model": "flights",
        "artifact": platform.blobs.put_file(path),
        "artifact_bytes": path.stat().st_size,
        "signature": signature,
        "lineage": lineage,
        "equivalence": Equivalence(rows=600, largest_difference=1e-7, tolerance=1e-4),
    }
    manifest = Manifest(**whole | changes)  # type: ignore[arg-type]  # the tests name right fields
    data = manifest_bytes(manifest)
    version = ModelVersion(
        model="flights",
        number=0,
        package=platform.blobs.put(data),
        package_signature=base64.b64encode(platform.signer.sign(data)).decode(),
        manifest=manifest,
        created_at=0.0,
        created_by="somebody",
    )
    return platform.registry.add(version)


def judged(
    platform: Platform, name: str, *, workload: Workload = WORKLOAD, beside: str | None = "flipped"
) -> GateReport:
    """Judge a version of a small model against that of another."""
    (folder_of_data() / "behaviour.yaml").write_text(TESTS)
    champion = None if beside is None else registered(platform, beside)
    version = registered(platform, name)
    return judge_version(
        platform, workload, folder_of_data(), version, champion=champion, progress=lambda _: None
    )


def test_a_good_version_passes_and_its_report_is_kept(platform: Platform) -> None:
    """With every group that can be told, a page that loads nothing, and the measures as JSON."""
    report = judged(platform, "good")
    assert (report.verdict, report.version, report.champion) == (
        GateVerdict.PASS, "flights:2", "flights:1",
    )  # fmt: skip
    assert report.lets_through
    assert report.measured
    assert is_safe(report)
    assert set(groups_of(report.rows)) >= {
        "data", "quality", "slices", "calibration", "robustness", "behaviour", "latency",
        "memory", "equivalence", "size", "security",
    }  # fmt: skip
    assert platform.gates.latest(registered(platform, "good").package) == report
    page = platform.blobs.read(report.page).decode()
    assert "flights:2 passes." in page
    assert page.count("<svg") >= 5
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    document = json.loads(platform.blobs.read(report.document))
    assert document["measures"]["quality"]["rows"] == 600
    assert len(document["report"]["rows"]) == len(report.rows)


def test_a_flipped_sign_fails_on_quality_and_behaviour(platform: Platform) -> None:
    """The planted bad model is stopped for what it does, by name."""
    report = judged(platform, "flipped", beside="good")
    assert report.verdict is GateVerdict.FAIL
    failed = {one.gate for one in report.rows if one.verdict is GateVerdict.FAIL and one.required}
    assert failed >= {"auc against the champion", "more wind does not help"}
    assert "auc against the champion" in report.because
    assert "flights:2 fails." in platform.blobs.read(report.page).decode()


def test_too_few_rows_cannot_be_told_until_a_person_says_so(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report names how many rows there were; an override has a reason, a name, a history."""
    workload = replace(WORKLOAD, data=Data(path=few(200).name, label="late"), gates=GateRules())
    report = judged(platform, "good", workload=workload)
    assert report.verdict is GateVerdict.CANNOT_TELL
    assert "20 rows are too few: at least 100" in report.because
    with pytest.raises(OverrideInvalidError, match="needs a reason"):
        override(platform, "flights", 2, because="  ")
    with pytest.raises(GatesNotPassedError, match="never judged"):
        override(platform, "flights", 1, because="it serves already")
    given = override(platform, "flights", 2, because="the champion does not see the wind")
    assert given.lets_through
    assert given.override is not None
    assert given.override.principal == platform.principal
    change = platform.history.changes("flights:2")[-1]
    assert (change.kind, change.principal) == (ChangeKind.GATES_OVERRIDDEN, platform.principal)
    assert change.because.startswith("the champion does not see the wind; the gates said")
    with pytest.raises(OverrideInvalidError, match="needs no override"):
        override(platform, "flights", 2, because="again")
    home = ["--home", str(tmp_path / "home")]
    assert run(open_platform, ["gates", "show", "flights:2", *home]) == 0
    assert "let through by" in capsys.readouterr().out
    assert run(open_platform, ["gates", "list", *home]) == 0
    assert "cannot tell, overridden" in capsys.readouterr().out


def test_measuring_that_fails_is_a_report_too(platform: Platform) -> None:
    """What the job could not tell is told as such, with what needs no job."""
    path, signature = made("good")
    broken = platform.blobs.put(b"no model")
    version = registered(platform, "good", artifact=broken, signature=signature)
    assert path.exists()
    report = judge_version(
        platform, replace(WORKLOAD, gates=GateRules()), folder_of_data(), version,
        champion=None, progress=lambda _: None,
    )  # fmt: skip
    assert report.verdict is GateVerdict.CANNOT_TELL
    assert report.because.startswith("measuring: The model cannot be loaded.")
    assert not report.measured
    assert not is_safe(report)
    assert {"equivalence", "size", "security"} <= set(groups_of(report.rows))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tests.yaml", "- {answer: 3}\n- {answr: 1}", "has 3 faults|have 3 faults"),
        ("tests.yaml", "answer: 1", "found no list"),
        ("tests.yaml", "- [", "line"),
        ("tests.csv", "name,expect\nx,same\n", "found no `change`"),
        ("tests.txt", "", "its name ends in none of"),
        ("absent.yaml", None, "cannot be read"),
    ],
)
def test_behaviour_tests_that_are_wrong_are_told(
    platform: Platform, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    """Every fault at once, before anything is run."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BehaviourFileError) as caught:
        platform.evaluator.behaviours(tmp_path / name, made("good")[1])
    assert any(one in f"{caught.value.what} {caught.value.why}" for one in said.split("|"))


def test_behaviour_tests_may_be_a_table(platform: Platform, tmp_path: Path) -> None:
    """CSV: inputs stand behind `row.` and `change.`, and an empty cell says nothing."""
    path = tmp_path / "tests.csv"
    path.write_text(
        "name,expect,row.origin,change.wind,change.rain,within,answer\n"
        "wind,not lower,JFK,60,,0.05,\n"
        "storm,,LGA,,,,1\n"
    )
    first, second = platform.evaluator.behaviours(path, made("good")[1])
    assert (first.row, first.change, first.within) == ({"origin": "JFK"}, {"wind": 60}, 0.05)
    assert (second.row, second.change, second.answer) == ({"origin": "LGA"}, {}, 1)


def test_the_command_line_judges_shows_and_refuses(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a workload file to a report, with the exit code that a pipeline stops at."""
    (folder_of_data() / "behaviour.yaml").write_text(TESTS)
    (folder_of_data() / "servewell.yaml").write_text(
        "workload: flights\nartifact: {path: good/model.onnx}\n"
        "data: {path: rows.parquet, label: late}\ngates: {behaviour: behaviour.yaml}\n"
    )
    registered(platform, "good")
    registered(platform, "flipped")
    home = ["--home", str(tmp_path / "home")]
    asked = ["flights:2", "--folder", str(folder_of_data())]
    words = ["gates", "run", *asked, "--champion", "flights:1", *home, "--dry-run"]
    assert run(open_platform, words) == 0
    out = capsys.readouterr().out
    assert "would judge flights:2 against flights:1" in out
    assert "only a look, which is not kept and does not count" in out
    assert run(open_platform, ["gates", "show", "flights:2", *home]) == 4
    assert "SW-229" in capsys.readouterr().err
    page = tmp_path / "pages" / "gates.html"
    assert run(open_platform, ["gates", "run", *asked, *home, "--html", str(page)]) == 4
    out = capsys.readouterr().out
    assert "fail           more wind does not help" in out
    assert "servewell gates override flights:2" in out
    assert page.read_text().startswith("<!doctype html>")
    assert run(open_platform, ["gates", "show", "flights:2", "--json", *home]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["lets_through"], told["report"]["verdict"]) == (False, "fail")
    words = ["gates", "override", "flights:2", "--because", "x", "--dry-run", *home]
    assert run(open_platform, words) == 0
    assert "would let flights:2 through" in capsys.readouterr().out
    assert not platform.gates.list()[0].lets_through


def test_a_report_that_is_only_a_look_is_not_kept(platform: Platform) -> None:
    """It says what a counting one would, and neither the gates nor the history know of it."""
    version = registered(platform, "good")
    workload = replace(WORKLOAD, data=Data(path=few(200).name, label="late"), gates=GateRules())
    judge = partial(
        judge_version, platform, workload, folder_of_data(), version,
        champion=None, progress=lambda _: None,
    )  # fmt: skip
    assert judge(counts=False).lets_through
    assert platform.gates.latest(version.package) is None
    assert platform.history.changes(version.name) == ()
    kept = judge()
    assert platform.gates.latest(version.package) == kept
    assert kept.rules == rules_of(platform, workload, folder_of_data(), version)
    stricter = replace(workload, gates=GateRules(rows_min=50))
    assert kept.rules != rules_of(platform, stricter, folder_of_data(), version)


def test_a_model_is_judged_by_the_gates_of_its_own_workload(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one that is not known, or of another model, nothing is judged."""
    registered(platform, "good")
    home = ["--home", str(tmp_path / "home")]
    assert run(open_platform, ["gates", "run", "flights:1", *home]) == 3
    assert "SW-142" in capsys.readouterr().err
    other = tmp_path / "servewell.yaml"
    (tmp_path / "model.onnx").touch()
    other.write_text("workload: trains\nartifact: {path: model.onnx}\n")
    assert run(open_platform, ["gates", "run", "flights:1", "--folder", str(other), *home]) == 3
    assert "makes the model `trains`" in capsys.readouterr().err
