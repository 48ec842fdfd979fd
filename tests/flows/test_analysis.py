"""One prediction is explained, and two deployments compared, as a person asks for it."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasketches import kll_floats_sketch  # type: ignore[import-untyped]  # has no types

from core.profiles_made import NOON
from core.test_version_comparison import side
from flows.conftest import version
from ports import tried_models
from ports.written_log import START_S, answered
from servewell.cli.app import run
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.label import Label
from servewell.core.catalog.prediction_record import RecordSchema, SegmentHeader, frame
from servewell.core.catalog.version_comparison import Shown
from servewell.flows.monitoring.explain import explain_prediction
from servewell.flows.monitoring.version_comparison import (
    NothingToCompareError,
    compare_deployments,
)
from servewell.flows.platform import Platform
from servewell.ports.endpoints import EndpointMissingError
from servewell.ports.explainer import Method, NotExplainableError
from servewell.ports.profiles import CountedPart, Part
from servewell.wiring import open_platform

REQUESTS = 30


@pytest.fixture
def predicted(platform: Platform, endpoint: Endpoint, tmp_path: Path) -> str:
    """Return the id of a prediction of a registered model, among others that were recorded."""
    model, signature, _ = tried_models.made("boosting")
    found = version(9)
    manifest = replace(
        found.manifest, signature=signature, artifact=platform.blobs.put(model.read_bytes())
    )
    kept = platform.registry.add(replace(found, manifest=manifest))
    names = [one.name for one in signature.inputs]
    table = pq.read_table(tried_models.folder_of_data() / "rows.parquet", columns=names)
    schema = RecordSchema(
        package=kept.package,
        inputs=tuple((one.name, one.datatype.value, (1,), False) for one in signature.inputs),
        outputs=tuple((one.name, one.datatype.value, one.row_shape) for one in signature.outputs),
    )
    records = [
        answered(
            number,
            endpoint=endpoint.name,
            model=kept.name,
            package=kept.package,
            inputs=[[value] for value in row.values()],
            outputs=[[1], [0.25, 0.75]],
        )
        for number, row in enumerate(table.slice(0, REQUESTS).to_pylist())
    ]
    head = [frame(SegmentHeader(worker=0, pid=1, started_ns=2)), frame(schema)]
    path = tmp_path / "home" / "records" / "live" / "w0-1-1.segment"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join([*head, *map(frame, records)]))
    return records[-1].prediction_id


def test_a_prediction_is_explained(
    platform: Platform, predicted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The contributions are exact, compared with what was recorded, and shown with bars."""
    who = {"principal": platform.principal, "since": 0.0}
    hour = tmp_path / "home" / "records" / "parquet" / "endpoint=flights" / "hour=2023-11-14T22"
    hour.mkdir(parents=True)
    (hour / "damaged.parquet").write_bytes(b"damaged")
    found = explain_prediction(platform, predicted, row=0, **who)
    assert found.explanation.method is Method.TREES
    assert found.explanation.unit == "log-odds"
    assert found.explanation.background == REQUESTS - 1
    assert found.version == "flights:4"
    with pytest.raises(NotExplainableError, match="cannot be explained"):
        explain_prediction(platform, predicted, row=7, **who)
    words = ["explain", predicted, "--since", "2023-11-01", "--home", str(tmp_path / "home")]
    assert run(open_platform, words) == 0
    words = capsys.readouterr().out
    assert "exact for trees, in log-odds" in words
    assert "█" in words


def counted_parts(platform: Platform) -> None:
    """Keep profiles and labels of two deployments, `v1` and `v2`, of which `v2` fails more."""
    for name, failed, slow in (("v1", 40, 5.0), ("v2", 160, 9.0)):
        one = side(name)
        assert one.profile is not None
        assert one.reference is not None
        platform.profiles.keep_reference(one.reference)
        sketch = kll_floats_sketch(200)
        for number in range(1_000):
            sketch.update(slow + number / 1_000)
        traffic = replace(one.traffic[0], failed=failed, latency=bytes(sketch.serialize()))
        platform.profile_parts.add(
            CountedPart(
                part=Part(segment=name, endpoint="flights", hour=NOON, records=4_000),
                windows=(replace(one.profile, seconds=60),),
                traffic=(traffic,),
                waiting={},
            )
        )
    platform.labels.add([label(name, number) for name in ("v1", "v2") for number in range(60)])


def label(deployment: str, number: int) -> Label:
    """Return a label: `v1` is wrong in every second, `v2` in every tenth."""
    wrong = number % (2 if deployment == "v1" else 10) == 0
    return Label(
        prediction_id=f"{deployment}-{number}",
        row=0,
        endpoint="flights",
        deployment=deployment,
        role="",
        predicted_at=NOON + 5.0,
        value="yes",
        outputs={"label": "no" if wrong else "yes"},
        loss=float(wrong),
        measure="wrong",
        added_at=START_S,
        principal="ada",
        source="truth.csv",
    )


@pytest.mark.usefixtures("endpoint")
def test_two_deployments_are_compared(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failures, latency and labels show a difference; the page and the words say the same."""
    counted_parts(platform)
    time = {"since": NOON, "until": NOON + 60.0, "principal": platform.principal}
    found = compare_deployments(platform, "flights", "v1", "v2", **time)
    shown = {one.measure: one.shown for one in found.measures}
    assert shown["failed"] is Shown.FIRST
    assert shown["latency p95"] is Shown.FIRST
    assert shown["accuracy"] is Shown.SECOND
    assert [one.shown for one in found.columns] == [Shown.NOT_SHOWN]
    with pytest.raises(NothingToCompareError, match="v3"):
        compare_deployments(platform, "flights", "v1", "v3", **time)
    with pytest.raises(EndpointMissingError):
        compare_deployments(platform, "flights", "v1", "v2", **(time | {"principal": "eve"}))
    page = tmp_path / "page.html"
    bounds = ["--since", "2023-11-15", "--until", "2023-11-16"]
    home = ["--home", str(tmp_path / "home")]
    words = ["compare", "flights", "v1", "v2", *bounds, "--html", str(page), *home]
    assert run(open_platform, words) == 0
    assert "failed: first is better" in capsys.readouterr().out
    assert "<svg" in page.read_text()
    assert run(open_platform, [*words[:8], "--json", *home]) == 0
    assert json.loads(capsys.readouterr().out)["first"]["requests"] == 4_000
    assert run(open_platform, [*words[:8], "--as", "eve", *home]) != 0
    assert "There is no endpoint `flights`" in capsys.readouterr().err
