"""From windows and labels to what is said of the quality of a deployment."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.conftest import version
from servewell.adapters.embedded.job.held_out_quality import quality_of_rows
from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.grouping import Table, grouped, reference_of, slices_in
from servewell.cli.app import run
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.label import Label
from servewell.core.catalog.profile import WindowProfile
from servewell.core.catalog.quality import Trust
from servewell.core.catalog.signal import Severity
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.operations.monitoring.quality import headlines
from servewell.flows.monitoring.quality import (
    QUALITY_FILE,
    LookBackError,
    QualityDamagedError,
    SliceUnknownError,
    of_slice,
    quality_of,
    quality_signals,
    watch_losses,
)
from servewell.flows.platform import Platform
from servewell.ports.profiles import CountedPart, Part
from servewell.wiring import open_platform

DAY_S = 86_400
NOW = 1_000 * DAY_S + 3_600.0
CREATED = Change(
    at=0.0,
    principal="somebody",
    kind=ChangeKind.ENDPOINT_CREATED,
    subject="flights",
    because="a test",
)
SIGNATURE = Signature(
    inputs=(
        Input(name="x", datatype=Datatype.FP32),
        Input(name="origin", datatype=Datatype.BYTES),
    ),
    outputs=(
        Output(name="label", datatype=Datatype.INT64),
        Output(name="odds", datatype=Datatype.FP32, row_shape=(2,), classes=("no", "yes")),
    ),
)


class World:
    """Rows of one kind: a score, an input like it, where it starts, and what became of it."""

    def __init__(self, seed: int, rows: int, *, shift: float = 0.0, flip: float = 0.0) -> None:
        drawn = np.random.default_rng(seed)
        self.scores = np.clip(drawn.beta(1.2, 4.0, rows) + shift, 0, 1)
        self.origins = np.where(drawn.random(rows) < 0.5, "EWR", "JFK").astype(object)
        hits = drawn.random(rows) < self.scores
        self.hits = np.where(drawn.random(rows) < flip, ~hits, hits).tolist()
        self.odds = np.stack([1 - self.scores, self.scores], axis=1).astype("float32")
        self.given = {"label": (self.scores >= 0.5).astype("int64"), "odds": self.odds}

    @property
    def table(self) -> Table:
        """Return the rows as a profile takes them."""
        taken = {"x": self.scores.astype("float32"), "origin": self.origins}
        return Table(
            inputs={name: Cells.of_tensor(one, is_input=True) for name, one in taken.items()},
            outputs={n: Cells.of_tensor(one, is_input=False) for n, one in self.given.items()},
        )

    def labels(self, day: int, rows: Sequence[int]) -> Iterator[Label]:
        """Yield the labels of some of the rows, as if they were predicted within that day."""
        for row in rows:
            outputs = {"label": int(self.given["label"][row]), "odds": self.odds[row].tolist()}
            score, hit = outputs["odds"][1], self.hits[row]
            yield Label(
                prediction_id=f"{day}-{row}",
                row=0,
                endpoint="flights",
                deployment="champion",
                role="",
                predicted_at=day * DAY_S + row * 10.0,
                value=int(hit),
                outputs=outputs,
                loss=(score - hit) ** 2,
                measure="brier",
                added_at=NOW,
                principal="ada",
                source="truth.csv",
                slices={"origin": str(self.origins[row])},
            )


@pytest.fixture
def served(platform: Platform) -> Platform:
    """Return a platform that serves a version with reference profile and held-out quality."""
    held_out = World(1, 4_000)
    profile = reference_of(
        SIGNATURE, held_out.table, rows=4_000, slices=["origin"], source="held-out rows"
    )
    found = quality_of_rows(profile, held_out.table, held_out.given, held_out.hits)
    assert found is not None
    made = version(1)
    digest = platform.blobs.put(msgspec.json.encode(found))
    manifest = replace(made.manifest, files={QUALITY_FILE: digest})
    kept = platform.registry.add(replace(made, manifest=manifest, created_at=960 * DAY_S + 0.0))
    platform.profiles.keep_reference(replace(profile, package=kept.package, version=kept.name))
    deployment = Deployment(
        name="champion",
        model=kept.model,
        version=kept.number,
        package=kept.package,
        package_signature="",
        share_bp=10_000,
    )
    platform.endpoints.save(
        Endpoint(name="flights", workload="flights", deployments=(deployment,)), CREATED
    )
    return platform


def predict(platform: Platform, world: World, day: int) -> None:
    """Count the rows of a day as the control process does."""
    [deployment] = platform.endpoints.get("flights").deployments
    profile = platform.profiles.reference(deployment.package)
    assert profile is not None
    rows = np.zeros(len(world.scores), np.int64)
    [group] = grouped(profile.bins, slices_in(profile), world.table, rows, 1)
    window = WindowProfile(
        endpoint="flights",
        deployment="champion",
        package=deployment.package,
        start=day * DAY_S,
        seconds=60,
        rows=group.rows,
        counts=group.counts,
    )
    part = Part(segment=f"day-{day}", endpoint="flights", hour=day * DAY_S, records=len(rows))
    assert platform.profile_parts.add(CountedPart(part=part, windows=(window,)))


def test_without_labels_the_estimate_is_told_with_its_trust(served: Platform) -> None:
    """The Brier score of rows like the held-out ones is expected to be theirs, and is trusted."""
    predict(served, World(2, 2_000), 998)
    [found] = quality_of(served, "flights", now=NOW)
    newest = headlines(found)[0]
    assert found.headline == newest.metric == "Brier score"
    assert (newest.rows, newest.labels, newest.realised) == (2_000, 0, None)
    assert newest.estimated is not None
    assert newest.reference is not None
    assert abs(newest.estimated.value - newest.reference) < 0.01
    assert newest.trust is Trust.GOOD
    assert found.worse is False
    assert headlines(found)[1].trust is Trust.NONE
    assert "fewer than 30 predictions" in headlines(found)[1].because
    assert list(quality_signals(served, now=NOW)) == []


def test_rows_of_no_known_kind_make_an_estimate_doubtful(served: Platform) -> None:
    """Where many rows lie outside of all that was held out, the flag says of which column."""
    strange = World(3, 2_000)
    strange.scores[:200] += 5
    predict(served, strange, 998)
    [found] = quality_of(served, "flights", now=NOW)
    assert headlines(found)[0].trust is Trust.DOUBTFUL
    assert "of the rows have a `x` that no held-out row had" in headlines(found)[0].because


def test_harder_rows_are_expected_to_be_worse_before_any_label(served: Platform) -> None:
    """Scores nearer to a half raise the expected loss, and that is a signal with its plot."""
    predict(served, World(4, 3_000, shift=0.15), 999)
    [signal] = quality_signals(served, now=NOW)
    assert (signal.subject, signal.severity) == ("without labels", Severity.TICKET)
    assert "is expected to be" in signal.what
    assert signal.points[0].bound == signal.bound
    assert signal.value is not None
    assert signal.bound is not None
    assert signal.value > signal.bound


def test_labels_prove_what_an_estimate_cannot_see(served: Platform) -> None:
    """The same rows with other truths: labels say worse, trust is gone, and sums say the same."""
    world = World(5, 2_000, flip=0.25)
    predict(served, world, 999)
    served.labels.add([*world.labels(999, range(1_000))])
    watch_losses(served)
    [found] = quality_of(served, "flights", now=NOW)
    newest = headlines(found)[0]
    assert found.worse
    assert found.labels == newest.labels == 1_000
    assert newest.trust is Trust.DOUBTFUL
    assert newest.because.startswith("labels contradict it: 1,000 labels")
    assert found.because.startswith("1,000 labels prove a Brier score of")
    assert found.calibration is not None
    assert found.calibration.low > 0.02
    [quick] = quality_of(served, "flights", now=NOW, in_sums=True)
    assert (quick.worse, quick.labels, quick.because) == (True, 1_000, found.because)
    assert (headlines(quick)[0].trust, headlines(quick)[0].because) == (
        newest.trust,
        newest.because,
    )
    assert {one.slice for one in quick.metrics} == {""}
    signals = {one.subject: one for one in quality_signals(served, now=NOW)}
    assert signals["by labels"].severity is Severity.TICKET


def test_labels_that_agree_bear_an_estimate_out(served: Platform) -> None:
    """Honest labels change no verdict, and are told by slice with their own held-out figures."""
    world = World(6, 2_000)
    predict(served, world, 999)
    served.labels.add([*world.labels(999, range(2_000))])
    [found] = quality_of(served, "flights", now=NOW)
    assert not found.worse
    assert headlines(found)[0].trust is Trust.GOOD
    assert headlines(found)[0].because.startswith("labels bear it out: 2,000 labels")
    newark = headlines(replace(of_slice(found, "origin=EWR"), headline="Brier score"))
    assert newark == ()
    [newest, *_] = of_slice(found, "origin=EWR").metrics
    assert newest.realised is not None
    assert newest.reference is not None
    assert 900 < newest.labels < 1_100
    with pytest.raises(SliceUnknownError, match="its slices are `origin=EWR`, `origin=JFK`"):
        of_slice(found, "origin=LGA")


def test_each_label_counts_once_in_any_order_and_corrected(served: Platform) -> None:
    """Labels in two orders, corrected and given again, end in the same figures."""
    world = World(7, 400)
    right = [*world.labels(999, range(400))]
    wrong = [replace(one, value=1 - int(one.value), loss=1.0) for one in right[:200]]
    served.labels.add([*reversed(wrong), *right[300:]])
    watch_losses(served)
    served.labels.add([*right[:200], *right[100:]])
    served.labels.add(right)
    watch_losses(served)
    watch_losses(served)
    [found] = quality_of(served, "flights", now=NOW)
    newest = headlines(found)[0]
    assert newest.labels == 400
    assert newest.realised is not None
    losses = [one.loss or 0.0 for one in right]
    assert newest.realised.value == pytest.approx(sum(losses) / 400, abs=1e-6)
    assert served.loss_watches.of("flights").deployments["champion"].labels == 400


def test_a_change_of_the_loss_is_dated(served: Platform) -> None:
    """ADWIN finds the day from which the same scores went wrong, and that is told."""
    for day in range(995, 1_000):
        world = World(day, 400, flip=0.4 if day >= 998 else 0.0)
        served.labels.add([*world.labels(day, range(400))])
        watch_losses(served)
    [found] = quality_of(served, "flights", now=NOW)
    assert found.changed_at is not None
    assert abs(found.changed_at - 998 * DAY_S) < 2_000
    assert found.loss_before is not None
    assert found.loss_now is not None
    assert found.loss_now > found.loss_before + 0.1
    assert "change of the loss" in {one.subject for one in quality_signals(served, now=NOW)}


def test_a_change_by_wrong_labels_ends_when_they_are_corrected(served: Platform) -> None:
    """What the loss is since a change follows corrections, and what was not known is not told."""
    for day in range(995, 1_000):
        world = World(day, 400, flip=0.4 if day >= 998 else 0.0)
        served.labels.add([*world.labels(day, range(400))])
        watch_losses(served)
    later = NOW + 60
    for day in (998, 999):
        right = World(day, 400).labels(day, range(400))
        served.labels.add([replace(one, added_at=later) for one in right])
    before = {one.subject for one in quality_signals(served, now=NOW)}
    assert "change of the loss" in before
    assert quality_signals(served, now=later) == ()
    assert quality_of(served, "flights", now=later)[0].changed_at is None
    assert quality_signals(served, now=NOW - 1) == ()


def test_what_takes_no_request_makes_no_signal(served: Platform) -> None:
    """A version that was rolled back is told of where it is asked for, and nobody is called."""
    world = World(5, 2_000, flip=0.25)
    predict(served, world, 999)
    served.labels.add([*world.labels(999, range(1_000))])
    endpoint = served.endpoints.get("flights")
    [deployment] = endpoint.deployments
    idle = replace(deployment, share_bp=0)
    other = replace(deployment, name="other")
    served.endpoints.save(replace(endpoint, deployments=(idle, other)), CREATED)
    assert quality_signals(served, now=NOW) == ()
    assert [one.worse for one in quality_of(served, "flights", now=NOW)] == [True, False]


def test_the_command_tells_of_a_time_in_words_as_json_and_as_a_page(
    served: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words, JSON and a page with a plot say the same; a wrong question is answered plainly."""
    world = World(8, 1_000)
    predict(served, world, 999)
    served.labels.add([*world.labels(999, range(500))])
    page = tmp_path / "quality.html"
    asked = ["quality", "flights", "--home", str(tmp_path / "home")]
    time = ["--since", "1972-09-20", "--until", "1972-09-28"]
    assert run(open_platform, [*asked, *time, "--html", str(page)]) == 0
    told = capsys.readouterr().out
    assert "500 of 1,000 predictions have labels." in told
    assert "Brier score" in told
    assert "<svg" in page.read_text()
    assert (
        run(
            open_platform,
            [*asked, *time, "--slice", "origin=JFK", "--deployment", "champion", "--json"],
        )
        == 0
    )
    [report] = json.loads(capsys.readouterr().out)
    assert {one["slice"] for one in report["metrics"]} == {"origin=JFK"}
    assert run(open_platform, [*asked, "--deployment", "other"]) != 0
    assert "SW-205" in capsys.readouterr().err
    with pytest.raises(LookBackError):
        quality_of(served, "flights", now=NOW, since=NOW, until=NOW - 1)


def test_a_damaged_file_of_held_out_rows_is_told_as_such(served: Platform) -> None:
    """What was signed with a version and cannot be read is an error with its next step."""
    digest = served.blobs.put(b'{"task": "two classes", "rows": null}')
    made = version(2)
    manifest = replace(made.manifest, files={QUALITY_FILE: digest})
    other = served.registry.add(replace(made, manifest=manifest))
    endpoint = served.endpoints.get("flights")
    [deployment] = endpoint.deployments
    moved = replace(deployment, version=other.number)
    served.endpoints.save(replace(endpoint, deployments=(moved,)), CREATED)
    with pytest.raises(QualityDamagedError, match="cannot be read"):
        quality_of(served, "flights", now=NOW)
