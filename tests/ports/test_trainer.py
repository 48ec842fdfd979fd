"""Jobs, run for real: each test that runs one starts a process."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier, XGBRegressor

from servewell.adapters.embedded.job.exchange import RunFiles
from servewell.adapters.embedded.job.launch import job_environment
from servewell.adapters.embedded.job.packaging import Loaded, package
from servewell.adapters.embedded.trainer import ProcessTrainer
from servewell.core.catalog.inferred_signature import InputRuleError
from servewell.core.catalog.profile import ReferenceProfile
from servewell.core.catalog.signature import Datatype
from servewell.core.catalog.workload import HeldOut, InputRule
from servewell.errors import ServewellError
from servewell.ports.trainer import (
    ConversionFailedError,
    HeldOutRowsError,
    Job,
    JobResult,
    LibraryMissingError,
    NotEquivalentError,
    PickleRefusedError,
    Trainer,
    TrainingFailedError,
)

ROWS = 200
MODELS: dict[str, Callable[[Any, Any], object]] = {
    "logistic": lambda x, y: LogisticRegression().fit(x, y),
    "linear": lambda x, y: LinearRegression().fit(x, y),
    "text-classes": lambda x, y: LogisticRegression().fit(x, np.where(y, "late", "in time")),
    "float-classes": lambda x, y: LogisticRegression().fit(x, y.astype("float64")),
    "bool-classes": lambda x, y: LogisticRegression().fit(x, y.astype(bool)),
    "labels-alone": lambda x, y: LinearSVC().fit(x, y),
    "forest": lambda x, y: RandomForestClassifier(5, max_depth=3).fit(x, y),
    "histogram": lambda x, y: HistGradientBoostingClassifier(max_iter=5).fit(x, y),
    "histogram-number": lambda x, y: HistGradientBoostingRegressor(max_iter=5).fit(x, y),
    "scaled": lambda x, y: make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y),
    "xgboost": lambda x, y: XGBClassifier(n_estimators=5).fit(x, y),
    "xgboost-number": lambda x, y: XGBRegressor(n_estimators=5).fit(x, y),
    "xgboost-booster": lambda x, y: XGBClassifier(n_estimators=5).fit(x, y).get_booster(),
    "xgboost-pipeline": lambda x, y: make_pipeline(
        SimpleImputer(), XGBClassifier(n_estimators=5)
    ).fit(x, y),
    "lightgbm": lambda x, y: LGBMClassifier(n_estimators=5, verbose=-1).fit(x, y),
    "lightgbm-number": lambda x, y: LGBMRegressor(n_estimators=5, verbose=-1).fit(x, y),
    "lightgbm-booster": lambda x, y: LGBMClassifier(n_estimators=5, verbose=-1).fit(x, y).booster_,
    "lightgbm-pipeline": lambda x, y: make_pipeline(
        StandardScaler(), LGBMClassifier(n_estimators=5, verbose=-1)
    ).fit(x, y),
}
MODEL = """
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def train(data, *, c=1.0):
        rows = pd.read_parquet(data)
        rows["town"] = rows["town"].fillna("")
        columns = ["town", "age", "size", "member", "secret"]
        model = make_pipeline(
            ColumnTransformer([
                ("town", OneHotEncoder(handle_unknown="ignore"), ["town"]),
                ("numbers", SimpleImputer(), ["age", "size", "member", "secret"]),
            ]),
            LogisticRegression(C=c),
        )
        return model.fit(rows[columns], rows["bought"]), {"accuracy": 0.5, "c": c}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows of every kind of column, some without a value."""
    draw = np.random.default_rng(7)
    path = tmp_path / "rows.parquet"
    towns = [None if index % 9 == 0 else "ABC"[index % 3] for index in range(ROWS)]
    sizes = draw.normal(size=ROWS).astype("float32")
    sizes[::5] = np.nan
    table = pa.table(
        {
            "day": pa.array(np.arange(ROWS).astype("datetime64[D]")),
            "town": towns,
            "age": draw.integers(18, 90, ROWS),
            "size": sizes,
            "member": draw.random(ROWS) < 0.5,
            "secret": draw.normal(size=ROWS),
            "bought": draw.integers(0, 2, ROWS),
        }
    )
    pq.write_table(table, path)
    return path


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    """The trainer of one machine."""
    return ProcessTrainer(tmp_path / "home" / "runs")


def write_script(folder: Path, text: str) -> Path:
    """Write a training script into a workload's folder."""
    script = folder / "workload" / "make.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(textwrap.dedent(text), encoding="utf-8")
    return script


def job_of(script: Path, data: Path, **changes: object) -> Job:
    """Return a job that trains with a script."""
    return Job(**{"run": "run1", "folder": script.parent, "script": script, "data": data} | changes)  # type: ignore[arg-type]  # the tests name right fields


def run(trainer: Trainer, job: Job) -> tuple[JobResult, list[str]]:
    """Run a job, and return what came of it and what it said."""
    said: list[str] = []
    return trainer.run(job, said.append), said


def failure(trainer: Trainer, job: Job, kind: type[ServewellError]) -> str:
    """Run a job that fails, and return its message; it leaves a log and no result."""
    with pytest.raises(kind) as caught:
        trainer.run(job, lambda _: None)
    folder = trainer.log(job.run).parent
    assert not (folder / "result.json").exists()
    assert str(trainer.log(job.run)) in caught.value.fix
    return str(caught.value)


def test_a_script_becomes_a_proved_model(trainer: Trainer, data: Path, tmp_path: Path) -> None:
    """A trained pipeline comes back as ONNX with one input a column, proved on held-out rows."""
    script = write_script(tmp_path, MODEL)
    job = job_of(
        script,
        data,
        label="bought",
        held_out=HeldOut(column="day", start="1970-05-01", until="1970-06-01"),
        parameters={"c": 0.5},
        inputs={
            "age": InputRule(minimum=0, maximum=120, description="Years."),
            "secret": InputRule(personal=True),
        },
    )
    result, said = run(trainer, job)
    assert result.equivalence.rows == 31
    assert result.equivalence.largest_difference <= 1e-5
    assert result.metrics == {"accuracy": 0.5, "c": 0.5}
    assert said[0] == "training"
    assert "proving 31 held-out rows" in said
    inputs = {one.name: one for one in result.signature.inputs}
    assert list(inputs) == ["town", "age", "size", "member", "secret"]
    assert [one.datatype for one in inputs.values()] == [
        Datatype.BYTES,
        Datatype.INT64,
        Datatype.FP32,
        Datatype.BOOL,
        Datatype.FP32,
    ]
    assert [one.nullable for one in inputs.values()] == [True, False, True, False, False]
    assert inputs["town"].categories == ("A", "B", "C")
    assert inputs["age"].maximum == 120
    assert inputs["age"].minimum_seen is not None
    assert inputs["secret"].personal
    assert (inputs["secret"].example, inputs["secret"].minimum_seen) == (None, None)
    assert result.example is not None
    assert set(result.example) == {"town", "age", "size", "member"}
    assert [(one.name, one.row_shape) for one in result.signature.outputs] == [
        ("label", ()),
        ("probabilities", (2,)),
    ]
    assert result.signature.outputs[1].classes == ("0", "1")
    taken = onnxruntime.InferenceSession(result.artifact).get_inputs()
    assert [one.name for one in taken] == list(inputs)
    columns = _profiled_columns(result, "31 held-out rows of rows.parquet")
    assert columns == [*inputs, "label", "probabilities:score"]


def _profiled_columns(result: JobResult, source: str) -> list[str]:
    """Return the columns of a reference profile, which is of these rows."""
    assert result.reference is not None
    profile = msgspec.json.decode(result.reference.read_bytes(), type=ReferenceProfile)
    assert profile.source == source
    assert profile.counts[""].keys() == {one.column for one in profile.bins}
    return [one.column for one in profile.bins]


def test_a_script_may_have_an_environment_of_its_own(
    trainer: Trainer, data: Path, tmp_path: Path
) -> None:
    """Its model comes over as a file, and is converted and proved as any other."""
    script = write_script(tmp_path, f"{MODEL}\n    print('there')\n")
    job = job_of(script, data, python=Path(sys.executable), parameters={"c": 0.5})
    result, said = run(trainer, job)
    assert said[:2] == ["training", "inferring the signature"]
    assert result.metrics == {"accuracy": 0.5, "c": 0.5}
    assert result.equivalence.rows > 0
    assert result.log.read_text(encoding="utf-8") == "there\n"


OF_AN_OLD_RELEASE = """
import sklearn.base
from sklearn.linear_model import LinearRegression
sklearn.base.__version__ = "0.1"
def train(data):
    return LinearRegression().fit([[1]], [1])
"""


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("def train(data): import lost", TrainingFailedError, "No module named 'lost' (make.py"),
        ("def train(data): bytearray(1 << 32)", TrainingFailedError, "train.memory_bytes_max"),
        ("def train(data): return 1, 2, 3", TrainingFailedError, "a tuple of 3 things"),
        ("def train(rows, more): pass", TrainingFailedError, "missing a required argument"),
        ("class A: pass\ndef train(data): return A()", PickleRefusedError, "it names `make.A`"),
        (OF_AN_OLD_RELEASE, PickleRefusedError, "from version 0.1"),
    ],
)  # fmt: skip
def test_what_goes_wrong_in_another_environment_is_told(
    data: Path, tmp_path: Path, text: str, kind: type[ServewellError], why: str
) -> None:
    """In the script, and of a model that nobody should load here."""
    script = write_script(tmp_path, text)
    trainer = ProcessTrainer(tmp_path / "home" / "runs")
    job = job_of(script, data, python=Path(sys.executable), memory_bytes_max=1 << 30)
    assert why in failure(trainer, job, kind)


def test_the_same_job_gives_the_same_model(trainer: Trainer, data: Path, tmp_path: Path) -> None:
    """Two runs of one script give the same ONNX file; without `held_out` a tenth proves it."""
    script = write_script(tmp_path, MODEL)
    first, _ = run(trainer, job_of(script, data, run="one"))
    second, _ = run(trainer, job_of(script, data, run="two"))
    assert first.artifact.read_bytes() == second.artifact.read_bytes()
    assert first.equivalence.rows == second.equivalence.rows == ROWS // 10


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("make", MODELS, ids=list(MODELS))
def test_models_of_every_library_are_proved(
    data: Path, tmp_path: Path, make: str, *, named: bool
) -> None:
    """Classifiers and regressors, fitted on a frame or on a bare matrix, answer the same served."""
    rows = pq.read_table(data, columns=["age", "secret", "bought"])
    narrow = tmp_path / "narrow.parquet"
    pq.write_table(rows, narrow)
    frame = rows.select(["age", "secret"]).to_pandas()
    model = MODELS[make](frame if named else frame.to_numpy(), rows["bought"].to_numpy())
    files = RunFiles(tmp_path)
    job = job_of(tmp_path / "make.py", narrow, label="bought")
    result = package(Loaded(model=model), job, files, say=lambda _: None)
    assert result.equivalence.rows == ROWS // 10
    assert result.equivalence.largest_difference < 1e-5
    assert [one.name for one in result.signature.inputs] == ["age", "secret"]
    assert onnxruntime.InferenceSession(files.artifact).get_inputs()[0].shape[0] is None


def test_a_model_that_converts_badly_is_refused(
    trainer: Trainer, data: Path, tmp_path: Path
) -> None:
    """A difference over the tolerance is refused, naming the row, both answers and no secret."""
    script = write_script(tmp_path, MODEL)
    job = job_of(script, data, tolerance=0.0, inputs={"secret": InputRule(personal=True)})
    message = failure(trainer, job, NotEquivalentError)
    assert "held-out row" in message
    assert "the trained model answers [" in message
    assert "secret=…" in message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "def train(data):\n    return [][3]\n",
            ("`make.py` failed", "IndexError: list index out of range (make.py, line 2)"),
        ),
        ("import no_such_library\n", ("no_such_library", "make.py, line 1", "install")),
        ("def train(data:\n", ("SyntaxError", "make.py, line 1")),
        ("def train(data):\n    return 7\n", ("no model: int '7'",)),
        ("def train(data):\n    return None\n", ("no model: NoneType",)),
        ("def train(data):\n    return 1, 2, 3\n", ("tuple of 3",)),
        (
            "def train(data):\n    return object(), {'auc': float('nan')}\n",
            ("metric `auc` is no finite number",),
        ),
        ("def fit(data):\n    pass\n", ("no function `train`", "it has `fit`")),
        ("def train(data, *, trees, depth=3):\n    pass\n", ("'trees'", "train(data, *, trees")),
        ("import sys\n\ndef train(data):\n    sys.exit(3)\n", ("SystemExit: 3 (make.py, line 4)",)),
        ("import os\n\ndef train(data):\n    os._exit(0)\n", ("exit code 0", "at: training")),
        (
            "import os, signal\n\ndef train(data):\n    os.kill(os.getpid(), signal.SIGSEGV)\n",
            ("SIGSEGV",),
        ),
        ("def train(data):\n    print('last words')\n    import os; os._exit(4)", ("last words",)),
    ],
)
def test_what_goes_wrong_in_a_script_is_told(
    trainer: Trainer, data: Path, tmp_path: Path, script: str, words: tuple[str, ...]
) -> None:
    """Whatever a script does wrong, the caller goes on and is told what, where and what next."""
    job = job_of(write_script(tmp_path, script), data)
    message = failure(trainer, job, ServewellError)
    assert "Traceback" not in message
    for word in words:
        assert word in message


def test_a_parameter_that_the_script_lacks_is_told(
    trainer: Trainer, data: Path, tmp_path: Path
) -> None:
    """A parameter that the function does not take is named beside the function."""
    job = job_of(write_script(tmp_path, MODEL), data, parameters={"depth": 3})
    message = failure(trainer, job, TrainingFailedError)
    assert "'depth'" in message
    assert "train(data, *, c=1.0)" in message


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
def test_an_answer_that_is_no_number_is_refused(data: Path, tmp_path: Path) -> None:
    """A model that answers not-a-number proves nothing, though both forms of it agree."""
    model = LinearRegression().fit(pd.DataFrame({"age": [1.0, 2.0]}), [1, 2])
    model.coef_ = np.array([np.nan])
    job = job_of(tmp_path / "make.py", data)
    with pytest.raises(NotEquivalentError) as caught:
        package(Loaded(model=model), job, RunFiles(tmp_path), say=lambda _: None)
    assert "the trained model answers [nan] to held-out row 1" in caught.value.why
    assert not RunFiles(tmp_path).artifact.exists()


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
def test_a_rule_for_no_input_is_told(data: Path, tmp_path: Path) -> None:
    """A rule that names no input is refused with the nearest name."""
    model = LinearRegression().fit(pd.DataFrame({"age": [1.0, 2.0]}), [1, 2])
    job = job_of(tmp_path / "make.py", data, inputs={"agee": InputRule(personal=True)})
    with pytest.raises(InputRuleError) as caught:
        package(Loaded(model=model), job, RunFiles(tmp_path), say=lambda _: None)
    assert "did you mean `age`?" in caught.value.why


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
def test_a_missing_text_with_a_meaning_of_its_own_is_refused(data: Path, tmp_path: Path) -> None:
    """A model that learned missing texts would get empty ones when served, so it is refused."""
    rows = pq.read_table(data).to_pandas()
    encode = ColumnTransformer([("town", OneHotEncoder(handle_unknown="ignore"), ["town"])])
    model = make_pipeline(encode, LogisticRegression())
    job = job_of(tmp_path / "make.py", data)
    with pytest.raises(ConversionFailedError, match="fitted on missing texts") as caught:
        package(
            Loaded(model=model.fit(rows[["town"]], rows["bought"])),
            job,
            RunFiles(tmp_path),
            say=lambda _: None,
        )
    assert "`town`" in caught.value.why
    model.fit(rows[["town"]].fillna(""), rows["bought"])
    package(Loaded(model=model), job, RunFiles(tmp_path), say=lambda _: None)


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        (HeldOut(column="dya", start="1970-01-01"), "no column `dya`"),
        (HeldOut(column="day", start="yesterday"), "`yesterday` is no value"),
        (HeldOut(column="day", start="2020-01-01"), "There are no held-out rows"),
    ],
)
def test_held_out_rows_that_cannot_be_told(
    trainer: Trainer, data: Path, tmp_path: Path, held_out: HeldOut, words: str
) -> None:
    """A wrong column, a bound of the wrong type and an empty range each say so, before training."""
    script = write_script(tmp_path, "print('never')")
    assert words in failure(trainer, job_of(script, data, held_out=held_out), HeldOutRowsError)
    assert trainer.log("run1").read_text(encoding="utf-8") == ""


@pytest.mark.filterwarnings("ignore")  # of the libraries, about each other
def test_a_column_that_the_data_lacks_is_told(data: Path, tmp_path: Path) -> None:
    """A model that was fitted on a column made in the script cannot be served, and it says so."""
    model = LinearRegression().fit(pd.DataFrame({"ages": [1.0, 2.0]}), [1, 2])
    job = job_of(tmp_path / "make.py", data)
    with pytest.raises(ConversionFailedError, match="no column `ages`") as caught:
        package(Loaded(model=model), job, RunFiles(tmp_path), say=lambda _: None)
    assert caught.value.why == "the nearest is `age`"


def test_a_job_that_takes_too_long_is_ended(trainer: Trainer, data: Path, tmp_path: Path) -> None:
    """At its timeout a job ends with everything that it started."""
    note = tmp_path / "child"
    script = write_script(
        tmp_path,
        f"""
        import subprocess, time
        from pathlib import Path

        def train(data):
            child = subprocess.Popen(["sleep", "60"])
            Path({str(note)!r}).write_text(str(child.pid))
            time.sleep(60)
        """,
    )
    for timeout_s in (3.0, 6.0, 12.0, 24.0):  # whatever the machine takes to get as far as that
        job = job_of(script, data, run=f"slow-{timeout_s}", timeout_s=timeout_s)
        message = failure(trainer, job, TrainingFailedError)
        assert f"ended after {timeout_s:g} s" in message
        if note.exists():
            break
    assert gone(int(note.read_text(encoding="ascii")))


def test_a_script_that_forks_leaves_nothing(trainer: Trainer, data: Path, tmp_path: Path) -> None:
    """A fork that returns does not finish the job, and one that stays is ended with it."""
    note = tmp_path / "child"
    forks = f"""
        import os, time
        from pathlib import Path

        def forked(data):
            if os.fork() == 0:
                return None
            child = os.fork()
            if child == 0:
                time.sleep(60)
            Path({str(note)!r}).write_text(str(child))
            return train(data)
    """
    script = write_script(tmp_path, textwrap.dedent(MODEL) + textwrap.dedent(forks))
    result, said = run(trainer, job_of(script, data, function="forked"))
    assert result.equivalence.rows == ROWS // 10
    assert said.count("converting to ONNX") == 1
    assert gone(int(note.read_text(encoding="ascii")))


def test_a_job_dies_with_its_caller(data: Path, tmp_path: Path) -> None:
    """Killing the process that waits for a job ends the job and what it started."""
    note = tmp_path / "pids"
    script = write_script(
        tmp_path,
        f"""
        import os, subprocess, time
        from pathlib import Path

        def train(data):
            child = subprocess.Popen(["sleep", "60"])
            Path({str(note)!r} + ".new").write_text(f"{{os.getpid()}} {{child.pid}}")
            os.rename({str(note)!r} + ".new", {str(note)!r})
            time.sleep(60)
        """,
    )
    caller = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
                from pathlib import Path
                from servewell.adapters.embedded.trainer import ProcessTrainer
                from servewell.ports.trainer import Job

                script = Path({str(script)!r})
                job = Job(run="r", folder=script.parent, script=script, data=Path({str(data)!r}))
                ProcessTrainer(Path({str(tmp_path / "runs")!r})).run(job, print)
                """
            ),
        ]
    )
    assert eventually(note.exists)
    pids = [int(word) for word in note.read_text(encoding="ascii").split()]
    trainer = ProcessTrainer(tmp_path / "runs")
    assert trainer.alive("r")
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    assert all(gone(pid) for pid in pids)
    assert not trainer.alive("r")


def test_a_job_that_is_killed_leaves_only_its_log(data: Path, tmp_path: Path) -> None:
    """A job that is killed from outside is told as such, and leaves no result."""
    script = write_script(
        tmp_path,
        """
        import os, signal

        def train(data):
            print("so far so good")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    trainer = ProcessTrainer(tmp_path / "runs")
    message = failure(trainer, job_of(script, data), TrainingFailedError)
    assert "SIGKILL" in message
    assert "so far so good" in trainer.log("run1").read_text(encoding="utf-8")
    assert not trainer.alive("run1")


def test_a_job_sees_no_secret(trainer: Trainer, data: Path, tmp_path: Path) -> None:
    """The environment of a job holds what Python needs, and no database URL, key or token."""
    secrets = {
        "SERVEWELL_DATABASE_URL": "postgresql+psycopg://me:hunter2@db/x",
        "SERVEWELL_KEY": "sw_secret",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PYTHONPATH": "elsewhere",  # code that is in no digest
    }
    assert job_environment(secrets | {"PATH": "/bin", "LC_ALL": "C"}) == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
    }
    script = write_script(
        tmp_path,
        """
        import os, sys

        def train(data):
            print(sorted(os.environ), "stdin", repr(sys.stdin.read()))
        """,
    )
    failure(trainer, job_of(script, data), ConversionFailedError)
    log = trainer.log("run1").read_text(encoding="utf-8")
    assert "stdin ''" in log
    assert "SERVEWELL" not in log


def test_a_library_that_is_missing_is_named(trainer: Trainer, data: Path, tmp_path: Path) -> None:
    """Where a converter is not installed, the message says which extra brings it."""
    script = write_script(tmp_path, MODEL)
    with script.open("a", encoding="utf-8") as file:
        file.write("\nimport sys\nsys.modules['skl2onnx'] = None\n")
    message = failure(trainer, job_of(script, data), LibraryMissingError)
    assert "`skl2onnx` is not installed" in message
    assert "pip install 'servewell[sklearn]'" in message


def test_a_job_keeps_out_of_the_workload_folder(
    trainer: Trainer, data: Path, tmp_path: Path
) -> None:
    """A job imports modules beside its script, runs in their folder, and leaves nothing there."""
    script = write_script(
        tmp_path,
        """
        import os
        import beside

        def train(data):
            print(os.getcwd())
            raise ValueError(beside.WORD)
        """,
    )
    (script.parent / "beside.py").write_text('WORD = "found it"\n', encoding="utf-8")
    assert "found it" in failure(trainer, job_of(script, data), TrainingFailedError)
    assert trainer.log("run1").read_text(encoding="utf-8").startswith(str(script.parent))
    assert {path.name for path in script.parent.iterdir()} == {"make.py", "beside.py"}


def test_an_environment_has_one_digest(trainer: Trainer) -> None:
    """The lock names Python, the platform and each distribution once; it is the same twice."""
    environment = trainer.environment()
    assert environment == trainer.environment()
    python, machine, *packages = environment.lock.splitlines()
    assert python.startswith("# Python 3.")
    assert machine.startswith("# ")
    assert packages == sorted(packages, key=lambda line: line.split("==")[0])
    assert any(line.startswith("scikit-learn==") for line in packages)
    names = [line.split("==")[0] for line in packages]
    assert len(names) == len(set(names))


def test_code_has_a_digest_of_what_it_may_import(trainer: Trainer, tmp_path: Path) -> None:
    """A change of the script or of a module that it imports shows; of another file it does not."""
    script = write_script(tmp_path, "import part\n")
    folder = script.parent
    (folder / "part.py").write_text("y = 1\n", encoding="utf-8")
    before = trainer.code_digest(folder, script)
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.py").write_text("x", encoding="utf-8")
    (folder / "stranger.py").write_text("z = 1\n", encoding="utf-8")
    assert trainer.code_digest(folder, script) == before
    (folder / "part.py").write_text("y = 2\n", encoding="utf-8")
    changed = trainer.code_digest(folder, script)
    assert changed != before
    script.write_text("x = 2\n", encoding="utf-8")
    assert trainer.code_digest(folder, script) not in (before, changed)
    with pytest.raises(TrainingFailedError, match=r"other\.py"):
        trainer.code_digest(folder, folder / "other.py")


def test_an_artifact_has_the_digest_of_its_bytes(trainer: Trainer, tmp_path: Path) -> None:
    """An artifact's digest changes with any of its files; one that is not there is an error."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("a", encoding="utf-8")
    before = trainer.code_digest(tmp_path, model)
    (model / "data.bin").write_bytes(b"b")
    assert trainer.code_digest(tmp_path, model) != before
    with pytest.raises(TrainingFailedError, match=r"model\.onnx"):
        trainer.code_digest(tmp_path, tmp_path / "model.onnx")


def test_the_commit_of_a_folder_is_told(trainer: Trainer, tmp_path: Path) -> None:
    """A folder's commit is known, dirty once a file of it differs; outside git there is none."""
    assert trainer.code_version(tmp_path).commit is None
    script = write_script(tmp_path, "x = 1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    version = trainer.code_version(script.parent)
    assert version.commit is not None
    assert len(version.commit) == 40
    assert not version.dirty
    script.write_text("x = 2\n", encoding="utf-8")
    assert trainer.code_version(script.parent).dirty


def gone(pid: int) -> bool:
    """Whether a process ends within a few seconds."""
    return eventually(lambda: not running(pid))


def running(pid: int) -> bool:
    """Whether a process runs: one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(true: Callable[[], bool]) -> bool:
    """Whether something becomes true within twenty seconds."""
    end = time.monotonic() + 20
    while not true():
        if time.monotonic() > end:
            return False
        os.sched_yield()
        time.sleep(0.02)
    return True
