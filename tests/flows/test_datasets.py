"""Datasets from the first row to the last: added, read, compared, given out and removed."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.conftest import version as model_version
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.gate import GateVerdict
from servewell.core.catalog.workload import Artifact, Data, InputRule, Workload
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.dataset_rules import (
    DatasetRefusedError,
    DatasetRemovedError,
    PolicyChange,
)
from servewell.flows.datasets import (
    Added,
    add_dataset,
    compare_datasets,
    end_retention,
    export_dataset,
    find_version,
    foresee_addition,
    foresee_removal,
    list_datasets,
    remove_dataset,
    set_access,
)
from servewell.flows.make_model import foresee_dataset, keep_dataset
from servewell.flows.platform import Platform
from servewell.ports.data_sources import BadRowsError, DataSource
from servewell.ports.datasets import DatasetMissingError


def rows(folder: Path, *, start: int = 0, stop: int = 1_000, factor: float = 1.0) -> Path:
    """Write rows as CSV: a distance of 1,000 that repeat, and a day of its own."""
    path = folder / "rows.csv"
    lines = [f"{day},{(day * 37 % 1_000 + 100) * factor:g}" for day in range(start, stop)]
    path.write_text("\n".join(["day,distance", *lines]) + "\n", encoding="utf-8")
    return path


def add(platform: Platform, path: Path, change: PolicyChange | None = None) -> Added:
    """Add rows to the dataset `flights`."""
    source = DataSource(location=str(path))
    change = change or PolicyChange()
    return add_dataset(platform, "flights", source, change=change, progress=lambda _: None)


def told(platform: Platform) -> list[str]:
    """Return what the history says of the dataset."""
    changes = platform.history.changes("dataset:flights")
    assert {one.kind for one in changes} <= {ChangeKind.DATASET}
    return [one.because for one in changes]


def test_the_same_rows_are_one_version(platform: Platform, tmp_path: Path) -> None:
    """Added twice they are kept once, with statistics, and the history tells of it once."""
    first = add(platform, rows(tmp_path))
    again = add(platform, rows(tmp_path))
    assert (first.new, again.new) == (True, False)
    assert again.version == first.version == find_version(platform, "flights")
    assert [one.name for one in first.version.statistics] == ["day", "distance"]
    assert [one for one in told(platform) if "was added" in one] == [
        f"flights:1 was added: 1,000 rows from {tmp_path / 'rows.csv'}"
    ]


def test_an_addition_is_foreseen(platform: Platform, tmp_path: Path) -> None:
    """A dry run says whether the rows are new, and keeps nothing."""
    source = DataSource(location=str(rows(tmp_path)))
    first = foresee_addition(platform, "flights", source, progress=lambda _: None)
    assert (first.new, first.version.number, platform.datasets.list()) == (True, 0, ())
    kept = add(platform, rows(tmp_path)).version
    again = foresee_addition(platform, "flights", source, progress=lambda _: None)
    assert (again.new, again.version) == (False, kept)


def test_bad_rows_leave_nothing(platform: Platform, tmp_path: Path) -> None:
    """A file with a bad line adds no version, no policy and no line of history."""
    path = rows(tmp_path)
    path.write_text(path.read_text() + "1,2,3\n")
    with pytest.raises(BadRowsError, match="line 1002"):
        add(platform, path)
    assert (platform.datasets.list(), platform.datasets.policies()) == ((), {})
    assert told(platform) == []


def test_only_who_may_read_reads(platform: Platform, tmp_path: Path) -> None:
    """What belongs to somebody else is refused, read or changed, and the history tells of it."""
    add(platform, rows(tmp_path))
    set_access(platform, "flights", PolicyChange(owner="ann", readers=("bob",)))
    for act in (
        lambda: find_version(platform, "flights"),
        lambda: export_dataset(platform, "flights", tmp_path / "out.csv"),
        lambda: remove_dataset(platform, "flights:1", because="mine"),
        lambda: foresee_removal(platform, "flights:1", because="mine"),
        lambda: set_access(platform, "flights", PolicyChange(owner="eve")),
        lambda: add(platform, rows(tmp_path, stop=2_000)),
        lambda: keep_dataset(platform, _workload("flights", dataset="flights"), tmp_path),
    ):
        with pytest.raises(DatasetRefusedError):
            act()
    assert not (tmp_path / "out.csv").exists()
    assert sum(one.startswith("refused to ") for one in told(platform)) == 7


def test_rows_that_were_given_out_are_told(platform: Platform, tmp_path: Path) -> None:
    """An export is what was added, and stands in the history."""
    add(platform, rows(tmp_path))
    export_dataset(platform, "flights:1", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 1_000
    assert told(platform)[-1] == f"flights:1 was given out to {platform.principal}"


def test_a_comparison_says_what_the_gates_would(platform: Platform, tmp_path: Path) -> None:
    """New rows in another unit fail by name, whatever share of all rows they are."""
    add(platform, rows(tmp_path, stop=4_000))
    old = pq.read_table(platform.blobs.path(find_version(platform, "flights").digest))
    new = rows(tmp_path, start=4_000, stop=5_000, factor=1.609344)
    with platform.data_sources.fetch(DataSource(location=str(new))) as found:
        whole = pa.concat_tables([old, pq.read_table(found.path)], promote_options="permissive")
    pq.write_table(whole, tmp_path / "all.parquet")
    add(platform, tmp_path / "all.parquet")
    compared = compare_datasets(platform, "flights:1", "flights:2", rules=ContractRules())
    failing = [one for one in compared.rows if one.verdict is GateVerdict.FAIL and one.required]
    assert compared.shifts.rows_now == 1_000
    assert [one.gate for one in failing if "day" not in one.gate] == ["change of unit: distance"]
    assert "miles to kilometres" in failing[0].because


def test_retention_ends_by_itself(platform: Platform, tmp_path: Path) -> None:
    """Rows past their days go; what a model learned from them stays, and so does their number."""
    kept = add(platform, rows(tmp_path), PolicyChange(retention_days=1)).version
    _learned(platform, kept)
    end_retention(platform)
    assert find_version(platform, "flights") == kept
    old = replace(kept, created_at=platform.clock.now() - 90_000)
    platform.datasets.remove(old, platform.history.changes()[-1])
    end_retention(platform)
    gone = find_version(platform, "flights:1")
    assert gone.removed_because.startswith("its retention has ended; what is said of it stays")
    assert gone.statistics == kept.statistics
    assert not platform.blobs.has(kept.digest)
    with pytest.raises(DatasetRemovedError):
        export_dataset(platform, "flights:1", tmp_path / "out.csv")
    back = add(platform, rows(tmp_path))
    assert (back.new, back.version.number, back.version.removed_at) == (True, 1, None)


def test_an_interrupted_removal_is_ended(platform: Platform, tmp_path: Path) -> None:
    """A kill between the word and the deed leaves bytes, which go with the next look."""
    kept = add(platform, rows(tmp_path)).version
    gone = replace(kept, removed_at=1.0, removed_because="asked", statistics=())
    platform.datasets.remove(gone, platform.history.changes()[-1])
    assert platform.blobs.has(kept.digest)
    end_retention(platform)
    assert not platform.blobs.has(kept.digest)
    back = add(platform, rows(tmp_path)).version
    end_retention(platform)
    assert platform.blobs.has(back.digest)


def test_a_column_that_becomes_personal_is_no_longer_told(
    platform: Platform, tmp_path: Path
) -> None:
    """Neither shown nor listed, though its statistics were made before."""
    add(platform, rows(tmp_path))
    set_access(platform, "flights", PolicyChange(personal=("distance",)))
    day, distance = find_version(platform, "flights").statistics
    assert (day.personal, distance.personal) == (False, True)
    assert day.quantiles
    assert (distance.mean, distance.quantiles, distance.histogram) == (None, (), ())
    assert list_datasets(platform, "flights") == (find_version(platform, "flights"),)
    assert [one.statistics for one in list_datasets(platform)] == [()]
    set_access(platform, "flights", PolicyChange(owner="ann", readers=("nobody",)))
    assert list_datasets(platform) == ()


def test_a_removal_is_foreseen(platform: Platform, tmp_path: Path) -> None:
    """A dry run says what would go, and nothing goes."""
    kept = add(platform, rows(tmp_path)).version
    assert foresee_removal(platform, "flights:1", because="asked").remove
    assert platform.blobs.has(kept.digest)
    assert find_version(platform, "flights:1") == kept


def test_a_workload_takes_rows_from_csv(platform: Platform, tmp_path: Path) -> None:
    """A CSV file becomes a version of its own, the same whether foreseen or kept."""
    path = rows(tmp_path)
    workload = _workload("late", path=path.name)
    foreseen = foresee_dataset(platform, workload, tmp_path)
    kept = keep_dataset(platform, workload, tmp_path)
    assert foreseen is not None
    assert kept is not None
    assert (foreseen.number, foreseen.digest) == (0, kept.digest)
    assert (kept.reference, kept.source, kept.rows) == ("late:1", "rows.csv", 1_000)
    assert [one.personal for one in kept.statistics] == [False, True]
    assert keep_dataset(platform, workload, tmp_path) == kept


def test_a_workload_takes_rows_from_a_dataset(platform: Platform, tmp_path: Path) -> None:
    """It gets the newest version, or the one that it names."""
    first = add(platform, rows(tmp_path)).version
    second = add(platform, rows(tmp_path, stop=2_000)).version
    for name, kept in (("flights", second), ("flights:1", first)):
        workload = _workload("late", dataset=name)
        assert keep_dataset(platform, workload, tmp_path) == kept
        assert foresee_dataset(platform, workload, tmp_path) == kept
    with pytest.raises(DatasetMissingError):
        keep_dataset(platform, _workload("late", dataset="flights:3"), tmp_path)


def _workload(name: str, *, path: str = "", dataset: str = "") -> Workload:
    return Workload(
        workload=name,
        artifact=Artifact(path="model.onnx"),
        data=Data(path=path, dataset=dataset),
        inputs={"distance": InputRule(personal=True)},
    )


def _learned(platform: Platform, kept: DatasetVersion) -> None:
    """Register a model whose lineage names a dataset version."""
    plain = model_version(1)
    lineage = replace(plain.manifest.lineage, dataset=kept.reference, dataset_digest=kept.digest)
    platform.registry.add(replace(plain, manifest=replace(plain.manifest, lineage=lineage)))
