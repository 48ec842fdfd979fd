"""The contract of the processes of predictors."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.adapters.embedded.predictor.host import Frames, RubbishError, framed
from servewell.adapters.embedded.predictor.packages import ProcessPredictors, pack
from servewell.core.catalog.model import Predictor
from servewell.ports.predictors import (
    Array,
    PredictorHost,
    PredictorLostError,
    PredictorRaisedError,
    PredictorSlowError,
    PredictorStartError,
)

WITHIN_S = 30.0
SCRIPT = """
import os
import time
from pathlib import Path


class Predictor:
    def load(self, folder):
        self.words = (folder / "data" / "words.txt").read_text()

    def predict(self, columns):
        match columns["do"][0]:
            case "raise":
                raise KeyError("secret")
            case "sleep":
                time.sleep(0.3)
            case "end":
                os._exit(0)
            case "say":
                print(self.words)
        return columns
"""


class Line:
    """A socket that holds what came, in pieces of a few bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv_into(self, view: memoryview) -> int:
        """Give the next piece."""
        piece, self._data = self._data[:3], self._data[3:]
        taken = piece[: len(view)]
        self._data = piece[len(view) :] + self._data
        view[: len(taken)] = taken
        return len(taken)


def archive_of(folder: Path, script: str = SCRIPT) -> Path:
    """Return the archive of a predictor and a file that it reads."""
    source = folder / "source"
    (source / "data").mkdir(parents=True)
    (source / "predictor.py").write_text(script)
    (source / "data" / "words.txt").write_text("words of its own")
    pack(source, [source / "predictor.py", source / "data" / "words.txt"], folder / "code.zip")
    return folder / "code.zip"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PredictorHost]:
    """A predictor that has loaded."""
    made = ProcessPredictors(tmp_path).open(
        archive_of(tmp_path), Predictor(script="predictor.py"), log="test"
    )
    made.start(within_s=WITHIN_S)
    yield made
    made.close()
    assert list((tmp_path / "run" / "predictors").iterdir()) == []


def rows(do: str = "") -> dict[str, Array]:
    """Return one column of each kind, and what to do."""
    return {
        "do": np.array([[do], ["é"]], dtype=object),
        "flag": np.array([[True], [False]]),
        "half": np.array([[1.5, 2.5], [3.5, np.nan]], dtype="float16"),
        "many": np.arange(12, dtype="uint64").reshape(2, 2, 3),
    }


def test_columns_come_back_as_they_went(host: PredictorHost) -> None:
    """Every type and shape survives the way; one value a row comes as one dimension."""
    answered = host.call(rows(), within_s=WITHIN_S)
    for name, one in rows().items():
        assert answered[name].dtype == one.dtype
        np.testing.assert_array_equal(answered[name].reshape(one.shape), one)
    assert answered["flag"].shape == (2,)
    assert host.memory_bytes() > 1 << 20


def test_an_error_is_named_without_its_words(host: PredictorHost) -> None:
    """What the predictor says of a value stays in its log."""
    with pytest.raises(PredictorRaisedError, match=r"^KeyError$"):
        host.call(rows("raise"), within_s=WITHIN_S)
    assert host.call(rows(), within_s=WITHIN_S)


def test_a_late_answer_is_let_go(host: PredictorHost) -> None:
    """After a call that was too slow, the next gets its own answer."""
    with pytest.raises(PredictorSlowError):
        host.call(rows("sleep"), within_s=0.05)
    host.settle(within_s=WITHIN_S)
    assert host.call(rows("next"), within_s=WITHIN_S)["do"][0] == "next"


def test_a_process_that_ends_can_be_started_again(host: PredictorHost) -> None:
    """The call is lost, the host is not."""
    with pytest.raises(PredictorLostError):
        host.call(rows("end"), within_s=WITHIN_S)
    with pytest.raises(PredictorLostError):
        host.call(rows(), within_s=WITHIN_S)
    host.start(within_s=WITHIN_S)
    assert host.call(rows(), within_s=WITHIN_S)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import nothing_like_that", "nothing_like_that"),
        ("class Other: pass", "Predictor"),
        ("class Predictor:\n    def load(self, folder): 1 / 0", "ZeroDivisionError"),
        ("import os\nos._exit(4)", "it ended"),
        ("import time\ntime.sleep(60)", "had not loaded after 1 s"),
    ],
)
def test_what_does_not_load_says_why(tmp_path: Path, script: str, words: str) -> None:
    """The reason names the error, so that it can be mended."""
    made = ProcessPredictors(tmp_path).open(
        archive_of(tmp_path, script), Predictor(script="predictor.py"), log="test"
    )
    with pytest.raises(PredictorStartError) as caught:
        made.start(within_s=1.0 if "sleep" in script else WITHIN_S)
    assert words in caught.value.why
    made.close()


def test_a_missing_environment_and_a_damaged_archive_are_refused(tmp_path: Path) -> None:
    """Nothing is started of either."""
    predictors, archive = ProcessPredictors(tmp_path), archive_of(tmp_path)
    with pytest.raises(PredictorStartError, match="environment"):
        predictors.open(archive, Predictor(script="predictor.py", environment="a" * 64), log="x")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(PredictorStartError, match="laid out"):
        predictors.open(archive, Predictor(script="predictor.py"), log="x")


def test_an_archive_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    """A name that climbs out of the folder is laid out within it."""
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as packed:
        packed.writestr("../../escaped.txt", "x")
        packed.writestr("predictor.py", SCRIPT)
    made = ProcessPredictors(tmp_path).open(
        tmp_path / "code.zip", Predictor(script="predictor.py"), log="x"
    )
    made.close()
    assert not list(tmp_path.rglob("escaped.txt"))


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    """A package is named by its content, so neither time nor order may show in it."""
    first = archive_of(tmp_path).read_bytes()
    source = tmp_path / "source"
    os.utime(source / "predictor.py", (1, 1))
    files = [source / "data" / "words.txt", source / "predictor.py"]
    pack(source, files, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == first


@given(st.binary(max_size=200))
def test_rubbish_on_the_line_is_told_from_an_answer(data: bytes) -> None:
    """Whatever bytes come, they are a frame, the end of the line, or rubbish: nothing else."""
    try:
        Frames(Line(data)).take()  # type: ignore[arg-type]
    except (EOFError, RubbishError):
        return


@given(
    st.dictionaries(
        st.text(max_size=5), st.lists(st.text(max_size=5), min_size=1, max_size=4), max_size=3
    ),
    st.binary(min_size=1, max_size=4),
    st.integers(0, 300),
)
def test_a_damaged_frame_is_told_from_a_whole_one(
    texts: dict[str, list[str]], damage: bytes, at: int
) -> None:
    """A frame comes back whole, in whatever pieces; one with other bytes raises no other error."""
    columns = {name: np.array(one, dtype=object) for name, one in texts.items()}
    try:
        data = framed({"number": 1}, columns)
    except RubbishError:
        assert any("\ud800" <= char <= "\udfff" for one in texts.values() for char in "".join(one))
        return
    header, found = Frames(Line(data)).take()  # type: ignore[arg-type]
    assert header["number"] == 1
    assert {name: one.tolist() for name, one in found.items()} == texts
    try:
        Frames(Line(data[:at] + damage + data[at + len(damage) :])).take()  # type: ignore[arg-type]
    except (EOFError, RubbishError):
        return
