"""PyTorch models: as a script returns them, and as an exported program."""

import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from servewell.adapters.embedded.job.exchange import Result, RunFiles
from servewell.adapters.embedded.job.importing import import_model
from servewell.adapters.embedded.job.packaging import Loaded, package
from servewell.ports.trainer import ConversionFailedError, Job, PickleRefusedError

torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
pytest.importorskip("onnxscript", reason="the extra `torch` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library, about itself
ROWS = 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows of three numbers and a label."""
    path = tmp_path / "rows.parquet"
    values = np.random.default_rng(1).normal(size=(ROWS, 3)).astype("float32")
    columns = {name: values[:, place] for place, name in enumerate("abc")}
    pq.write_table(pa.table({**columns, "label": values.sum(axis=1)}), path)
    return path


def network(answers: int, *last: object) -> object:
    """Return a small network with weights that are always the same."""
    torch.manual_seed(0)
    layers = (
        torch.nn.Linear(3, 8),
        torch.nn.ReLU(),
        torch.nn.Dropout(),
        torch.nn.Linear(8, answers),
    )
    return torch.nn.Sequential(*layers, *last)


def packaged(
    model: object, data: Path, folder: Path
) -> tuple[Result, onnxruntime.InferenceSession]:
    """Make a package of a model, and open it."""
    files = RunFiles(folder)
    job = Job(run="r", folder=folder, data=data, label="label")
    result = package(Loaded(model=model), job, files, say=lambda _: None)
    return result, onnxruntime.InferenceSession(files.artifact)


def test_a_module_is_proved_and_takes_any_number_of_rows(data: Path, tmp_path: Path) -> None:
    """A module answers a number for each row, served as it answers itself."""
    result, session = packaged(network(1), data, tmp_path)
    assert result.equivalence.rows == ROWS // 10
    assert result.equivalence.largest_difference < 1e-5
    assert [one.name for one in result.signature.inputs] == ["a", "b", "c"]
    assert [one.name for one in result.signature.outputs] == ["prediction"]
    for rows in (1, 7):
        feed = {name: np.zeros((rows, 1), dtype="float32") for name in "abc"}
        assert session.run(None, feed)[0].shape == (rows, 1)


@pytest.mark.parametrize("classes", [("low", "mid", "high"), (10, 20, 30)])
def test_a_module_with_classes_answers_labels(
    data: Path, tmp_path: Path, classes: tuple[object, ...]
) -> None:
    """With `classes` the numbers are probabilities, and the label of the highest comes along."""
    model = network(3, torch.nn.Softmax(dim=1))
    model.classes = classes  # type: ignore[attr-defined]  # torch has no types here
    result, session = packaged(model, data, tmp_path)
    assert [one.name for one in result.signature.outputs] == ["label", "probabilities"]
    assert result.signature.outputs[1].classes == tuple(map(str, classes))
    label, numbers = session.run(None, {name: np.ones((2, 1), dtype="float32") for name in "abc"})
    assert list(label) == [classes[one] for one in numbers.argmax(axis=1)]


def test_an_exported_program_is_imported(data: Path, tmp_path: Path) -> None:
    """A .pt2 file becomes a proved package; what it was exported with does not matter."""
    result = imported(data, tmp_path, exported(network(2), any_rows=True))
    assert result.equivalence.rows == ROWS // 10
    assert result.signature.outputs[0].row_shape == (2,)


def test_a_program_for_one_number_of_rows_is_refused(data: Path, tmp_path: Path) -> None:
    """The message says how to export it."""
    program = exported(network(2), any_rows=False)
    with pytest.raises(ConversionFailedError, match="takes 2 rows and no other") as caught:
        imported(data, tmp_path, program)
    assert "dynamic_shapes" in caught.value.fix


def test_nothing_in_a_file_is_unpickled(data: Path, tmp_path: Path) -> None:
    """A file whose sample inputs are a pickle that runs a program is refused, and runs nothing."""
    import pickle  # noqa: PLC0415 - to write what must not be read

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(str(tmp_path / "harmed")),)  # type: ignore[return-value]  # as pickle wants it

    path = tmp_path / "model.pt2"
    torch.export.save(exported(network(1), any_rows=True), path)
    spoilt = tmp_path / "spoilt.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(spoilt, "w") as target:
        for name in source.namelist():
            harmful = name.endswith("sample_inputs/model.pt")
            target.writestr(name, pickle.dumps(Harm()) if harmful else source.read(name))
    with pytest.raises((ConversionFailedError, PickleRefusedError)):
        import_model(job_of(spoilt, data), RunFiles(tmp_path), lambda _: None)
    assert not (tmp_path / "harmed").exists()


def exported(model: object, *, any_rows: bool) -> object:
    """Return a program of a module."""
    shapes = ({0: torch.export.Dim.DYNAMIC},) if any_rows else None
    return torch.export.export(model.eval(), (torch.zeros(2, 3),), dynamic_shapes=shapes)  # type: ignore[attr-defined]  # a module


def job_of(path: Path, data: Path) -> Job:
    """Return a job that imports a program."""
    return Job(run="r", folder=path.parent, artifact=path, format="torch", data=data, label="label")


def imported(data: Path, folder: Path, program: object) -> Result:
    """Save a program and import it."""
    path = folder / "model.pt2"
    torch.export.save(program, path)
    return import_model(job_of(path, data), RunFiles(folder), lambda _: None)
