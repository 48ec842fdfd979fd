"""What error to expect of a row is learned only where the inputs tell it, and holds on windows."""

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.held_out_quality import quality_of_rows
from servewell.adapters.embedded.job.loss_fit import fit_loss
from servewell.adapters.embedded.monitoring.cells import Cells
from servewell.adapters.embedded.monitoring.counting import counted
from servewell.adapters.embedded.monitoring.grouping import Table, reference_of
from servewell.core.catalog.profile import Bins, ColumnKind, ReferenceProfile, Side
from servewell.core.catalog.quality_reference import Task
from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.operations.monitoring.loss_model import expected_loss

SIGNATURE = Signature(
    inputs=(
        Input(name="x", datatype=Datatype.FP32),
        Input(name="kind", datatype=Datatype.BYTES),
    ),
    outputs=(Output(name="price", datatype=Datatype.FP32),),
)
Numbers = NDArray[np.float64]


class Rows:
    """Prices whose error grows with `x`, and is twice as large for one kind."""

    def __init__(self, seed: int, rows: int, *, centre: float = 0.3, rare: float = 0.2) -> None:
        drawn = np.random.default_rng(seed)
        self.x = np.clip(drawn.normal(centre, 0.2, rows), 0, 1)
        self.kind = np.where(drawn.random(rows) < rare, "rare", "usual").astype(object)
        self.price = 10 * self.x
        spread = (0.2 + self.x) * np.where(self.kind == "rare", 2, 1)
        self.truth = self.price + drawn.normal(0, spread)
        self.given = {"price": self.price.astype("float32")}
        taken = {"x": self.x.astype("float32"), "kind": self.kind}
        self.table = Table(
            inputs={name: Cells.of_tensor(one, is_input=True) for name, one in taken.items()},
            outputs={n: Cells.of_tensor(one, is_input=False) for n, one in self.given.items()},
        )

    @property
    def error(self) -> float:
        """Return the mean absolute error."""
        return float(np.abs(self.truth - self.price).mean())


def places_in(profile: ReferenceProfile, rows: Rows) -> dict[str, tuple[int, ...]]:
    """Return the counts of a window of these rows."""
    cells = {**rows.table.inputs, **rows.table.outputs}
    whole = np.zeros(len(rows.x), np.int64)
    return {one.column: counted(one, cells[one.column], whole, 1)[0].places for one in profile.bins}


def test_the_error_of_other_rows_is_expected_from_their_counts() -> None:
    """Harder windows are expected to be worse, by about as much as labels say."""
    held_out = Rows(1, 6_000)
    profile = reference_of(SIGNATURE, held_out.table, rows=6_000, slices=(), source="")
    found = quality_of_rows(profile, held_out.table, held_out.given, held_out.truth.tolist())
    assert found is not None
    assert found.task is Task.NUMBER
    assert found.loss is not None
    assert found.loss.gain > 0.05
    assert "on rows not fitted on" in found.loss_because
    for seed, centre, rare in ((2, 0.3, 0.2), (3, 0.45, 0.2), (4, 0.3, 0.5)):
        window = Rows(seed, 2_000, centre=centre, rare=rare)
        expected = expected_loss(found.loss, places_in(profile, window), rows=2_000)
        assert expected is not None
        assert abs(expected.value - window.error) < 0.08 * window.error, (centre, rare)


def test_errors_that_nothing_tells_have_no_model() -> None:
    """Where inputs say nothing of the error, the mean is not dressed up as a model."""
    drawn = np.random.default_rng(6)
    bins = Bins(
        column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=tuple(np.linspace(0, 1, 21))
    )
    places = {"x": drawn.integers(3, 23, 4_000)}
    model, because, _ = fit_loss(drawn.exponential(1, 4_000), places, [bins])
    assert model is None
    assert because.startswith("nothing in the inputs")
    model, because, _ = fit_loss(drawn.exponential(1, 100), {"x": places["x"][:100]}, [bins])
    assert model is None
    assert "too few" in because


def test_a_number_beyond_all_that_was_seen_is_as_the_nearest() -> None:
    """What lies above all edges is expected to be as wrong as the highest that was seen."""
    drawn = np.random.default_rng(7)
    bins = Bins(
        column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=tuple(np.linspace(0, 1, 11))
    )
    places = drawn.integers(3, 13, 3_000)
    model, _, _ = fit_loss(drawn.exponential(places / 10.0), {"x": places}, [bins])
    assert model is not None
    effects = model.effects["x"]
    assert effects[-1] == effects[-2] > effects[3] == effects[2]
    counts = [0] * len(effects)
    counts[-1] = 500
    above = expected_loss(model, {"x": counts}, rows=500)
    assert above is not None
    assert above.value > model.mean
    assert expected_loss(model, {}, rows=500) is None


def test_errors_that_grow_with_the_time_widen_what_is_expected() -> None:
    """Blocks whose errors no column explains are missed by as much; rows in no order are not."""
    drawn = np.random.default_rng(8)
    bins = Bins(
        column="x", side=Side.INPUT, kind=ColumnKind.NUMBER, edges=tuple(np.linspace(0, 1, 11))
    )
    places = drawn.integers(3, 13, 4_000)
    times = np.repeat([1.0, 1.0, 1.4, 1.0, 0.7, 1.0, 1.4, 0.7], 500)
    losses = drawn.exponential(places / 10.0) * times
    model, _, missed = fit_loss(losses, {"x": places}, [bins])
    assert model is not None
    assert 0.1 < missed < 0.4
    mixed = drawn.permutation(4_000)
    assert fit_loss(losses[mixed], {"x": places[mixed]}, [bins])[2] == 0
