"""From a version to a faster one: measured, judged, registered only when asked, never deployed."""

import base64
import json
import os
import signal
from pathlib import Path

import pytest

from ports.tried_models import made
from servewell.adapters.embedded.job.exchange import RunFiles
from servewell.cli.app import run
from servewell.core.catalog.model import Equivalence as Proof
from servewell.core.catalog.model import Format, Lineage, Manifest, ModelVersion, manifest_bytes
from servewell.core.catalog.run import Run, RunState
from servewell.core.performance.optimisation import Choice
from servewell.flows.optimise_model import (
    NotOptimisableError,
    Optimisation,
    Wish,
    optimise_model,
    plan_optimisation,
    register_variant,
    run_name,
)
from servewell.flows.platform import Platform
from servewell.ports.optimiser import Effort, Step, StudyFailedError
from servewell.serving.runtimes.onnx import OnnxModel
from servewell.wiring import open_platform

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

QUICK = Effort(rounds=6, slice_s=0.002)


@pytest.fixture
def version(platform: Platform) -> ModelVersion:
    """Return a registered version of a small network that came without data."""
    return platform.registry.add(registered(platform, "network"))


def registered(platform: Platform, name: str, **changes: object) -> ModelVersion:
    """Return a signed version of a small model, to be added."""
    path, signature, _ = made(name)
    lineage = Lineage(
        run="r",
        format=Format.ONNX,
        source="model.onnx",
        source_digest="",
        dataset=None,
        dataset_digest=None,
        commit=None,
        dirty=False,
        environment_digest="",
    )
    whole = {
        "model": "tried",
        "artifact": platform.blobs.put_file(path),
        "artifact_bytes": path.stat().st_size,
        "signature": signature,
        "lineage": lineage,
        "equivalence": Proof(rows=0, largest_difference=0.0, tolerance=1e-4),
    }
    manifest = Manifest(**whole | changes)  # type: ignore[arg-type]  # the tests name right fields
    data = manifest_bytes(manifest)
    return ModelVersion(
        model="tried",
        number=0,
        package=platform.blobs.put(data),
        package_signature=base64.b64encode(platform.signer.sign(data)).decode(),
        manifest=manifest,
        created_at=0.0,
        created_by="somebody",
    )


def optimised(platform: Platform, **changes: object) -> tuple[Optimisation, Path]:
    """Optimise quickly, with a report that is one word."""
    wish = Wish(**{"model": "tried", "effort": QUICK} | changes)  # type: ignore[arg-type]  # as above
    return optimise_model(platform, wish, draw=lambda _: "report", progress=lambda _: None)


def test_a_chosen_variant_becomes_a_signed_version(
    platform: Platform, version: ModelVersion
) -> None:
    """Measuring registers nothing; asked for, a variant is a version that tells its origin."""
    done, report = optimised(platform, loss_max=10.0)
    assert report.read_text() == "report"
    assert platform.registry.list() == (version,)
    ended = platform.runs.list(run_name("tried"))[-1]
    assert (ended.state, ended.model_version) == (RunState.SUCCEEDED, None)
    variant = next(one for one in done.study.variants if one.name == "float16")
    new = register_variant(platform, done, variant)
    assert new.name == "tried:2"
    content = platform.blobs.read(new.package)
    assert platform.signer.verify(content, base64.b64decode(new.package_signature))
    assert content == manifest_bytes(new.manifest)
    told = new.manifest.lineage.optimised
    assert told is not None
    assert (told.of, told.package, told.variant) == ("tried:1", version.package, "float16")
    assert new.manifest.lineage.source == "model.onnx"
    assert new.manifest.equivalence.largest_difference == variant.largest_difference > 0
    assert new.manifest.equivalence.labels_changed == variant.labels_changed
    assert {one.output for one in variant.changes} == {
        one.name for one in new.manifest.signature.outputs
    }
    artifact = platform.blobs.path(new.manifest.artifact)
    assert artifact.stat().st_size == new.manifest.artifact_bytes < version.manifest.artifact_bytes
    OnnxModel(artifact.read_bytes(), new.manifest.signature).close()  # a worker takes it
    assert platform.blobs.read(new.manifest.files["report.html"]) == b"report"
    assert platform.runs.get(new.manifest.lineage.run).model_version == "tried:2"
    assert platform.endpoints.list() == ()
    assert register_variant(platform, done, variant).name == "tried:2"  # once and no more


def test_a_killed_optimisation_leaves_nothing_registered(
    platform: Platform, version: ModelVersion, tmp_path: Path
) -> None:
    """A kill ends the run as failed; one that a kill left open is closed by the next."""

    def kill(step: Step) -> None:
        if step.words == "measuring speed":
            runs = platform.runs.list(run_name("tried"))
            files = RunFiles(tmp_path / "home" / "runs" / runs[-1].id)
            os.kill(int(files.pid.read_text()), signal.SIGKILL)

    left_open = Run(
        id="0", workload=run_name("tried"), state=RunState.RUNNING, inputs_digest="", started_at=0.0
    )
    platform.runs.save(left_open)
    wish = Wish(model="tried", effort=QUICK)
    with pytest.raises(StudyFailedError):
        optimise_model(platform, wish, draw=lambda _: "", progress=kill)
    assert platform.registry.list() == (version,)
    states = [one.state for one in platform.runs.list(run_name("tried"))]
    assert states == [RunState.INTERRUPTED, RunState.FAILED]


def test_python_code_has_no_variants(platform: Platform) -> None:
    """What is no graph is refused before anything is begun."""
    platform.registry.add(registered(platform, "network", runtime="python"))
    with pytest.raises(NotOptimisableError, match="has no variants"):
        plan_optimisation(platform, Wish(model="tried"), keep=True)
    assert platform.runs.list() == ()


def test_a_terminal_shows_and_registers(
    platform: Platform, version: ModelVersion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command tells each variant with its reason, writes a page, and registers if told to."""
    words = ["models", "optimize", version.name, "--home", str(tmp_path / "home")]
    assert run(open_platform, [*words, "--dry-run"]) == 0
    assert "would build variants of tried:1" in capsys.readouterr().out
    assert platform.runs.list() == ()
    gate = ["--loss-max", "10", "--rounds", "6", "--register"]
    assert run(open_platform, [*words, *gate, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in told["study"]["variants"]} >= {"float16", "int8-dynamic"}
    assert len(told["choice"]["verdicts"]) == len(told["study"]["variants"])
    page = Path(told["report"]).read_text()
    assert page.count("<svg") == 2
    assert "Of outputs that the metric does not look at" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    names = [one.name for one in platform.registry.list()]
    assert names == (["tried:1", "tried:2"] if Choice(**told["choice"]).name else ["tried:1"])
    assert told["registered"] == (names[1] if len(names) == 2 else None)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("optimize", "absent"), 4, "SW-202"),
        (("optimize", "tried:9"), 4, "SW-202"),
        (("optimize", "tried:x"), 2, "not a model version"),
        (("profile", "tried:0"), 2, "not a model version"),
        (("optimize", "tried", "--loss-max", "-1"), 2, "--loss-max"),
        (("optimize", "tried", "--metric", "aux"), 2, "--metric"),
        (("optimize", "tried", "--workload", "nowhere.yaml"), 3, "SW-101"),
        (("profile", "tried", "--rows", "0"), 2, "--rows"),
    ],
)
@pytest.mark.usefixtures("version")
def test_what_is_asked_for_wrongly_is_told(
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model, an option or a file that is not there ends in words and its exit code."""
    assert run(open_platform, ["models", *words, "--home", str(tmp_path / "home")]) == code
    assert said in capsys.readouterr().err
