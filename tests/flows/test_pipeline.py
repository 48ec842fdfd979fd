"""Steps of a workload, run for real around a model that was made elsewhere."""

import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flows.conftest import version
from journeys.house import write_ready_made
from ports.tiny_package import lock_of, wheel
from servewell.core.catalog.run import Run, RunState
from servewell.core.catalog.step import Step, StepState
from servewell.core.catalog.workload import Workload
from servewell.flows.make_model import (
    Made,
    close_interrupted,
    foresee_pipeline,
    keep_dataset,
    make_model,
)
from servewell.flows.pipeline import ChangedMeanwhileError, StepsDone, foresee_steps, run_steps
from servewell.flows.platform import Platform
from servewell.flows.runs import RunAmbiguousError, details_of, diff_runs, find_run
from servewell.ports.runs import RunMissingError
from servewell.ports.steps import StepFailedError

STEPS = """
steps:
  one:
    script: one.py
    function: work
    parameters:
      size: 3
  two:
    script: two.py
    needs: [one]
  three:
    script: three.py
    function: work
    needs: [train, two]
    kind: evaluate
"""
ONE = """
from pathlib import Path
from noting import note
def work(inputs, output, *, size):
    note("one")
    (output / "numbers.txt").write_text("1 2 3")
    return {"size": size}
"""
TWO = """
import os
from pathlib import Path
from noting import note
note("two")
print("progress 0.5 half", flush=True)
numbers = Path(os.environ["STEP_INPUT_ONE"], "numbers.txt").read_text().split()
Path(os.environ["STEP_OUTPUT"], "sum.txt").write_text(str(sum(map(int, numbers))))
"""
THREE = """
from noting import note
def work(inputs, output):
    note("three")
    assert (inputs["train"] / "model.onnx").stat().st_size > 0
    return {"sum": int((inputs["two"] / "sum.txt").read_text())}
"""
NOTING = """
from pathlib import Path
def note(name):
    with Path(__file__).with_name("ran.txt").open("a") as file:
        file.write(name + " ")
"""
BEFORE = ("one", "two")


@dataclass(frozen=True, kw_only=True)
class Home:
    """A platform, and a workload that notes which of its steps ran."""

    platform: Platform
    folder: Path

    @property
    def workload(self) -> Workload:
        """What the file says now."""
        return self.platform.workload_files.read(self.folder)[0]

    @property
    def ran(self) -> list[str]:
        """The steps that ran until now."""
        note = self.folder / "ran.txt"
        return note.read_text().split() if note.exists() else []

    def make(self, said: list[str] | None = None) -> Made:
        """Make the model; what is said on the way goes to `said`."""
        say = (said if said is not None else []).append
        return make_model(self.platform, self.workload, self.folder, dataset=None, progress=say)

    def steps(self, number: int) -> tuple[Step, ...]:
        """Run the steps before training, for a run of that number."""
        run = Run(
            id=f"r{number}",
            workload="small",
            state=RunState.RUNNING,
            inputs_digest="",
            started_at=float(number),
        )
        self.platform.runs.save(run)
        try:
            return run_steps(
                *(self.platform, self.workload, self.folder),
                run=run,
                names=BEFORE,
                after=StepsDone(),
                progress=lambda _: None,
            ).steps
        finally:
            self.platform.steps.clear(run.id)

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file of the workload."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def home(platform: Platform, tmp_path: Path) -> Home:
    """Return a home with nothing in it, and a workload with two steps before and one after."""
    folder = tmp_path / "small"
    write_ready_made(folder, port=1)
    with (folder / "servewell.yaml").open("a") as file:
        file.write(STEPS)
    scripts = {"one": ONE, "two": TWO, "three": THREE, "noting": NOTING}
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return Home(platform=platform, folder=folder)


def states(steps: tuple[Step, ...]) -> list[StepState]:
    """Return the states of steps."""
    return [one.state for one in steps]


def test_the_same_work_is_done_once(home: Home) -> None:
    """A second run takes the outputs of the first, and says where they are from."""
    first, second = home.steps(1), home.steps(2)
    assert states(first) == [StepState.SUCCEEDED] * 2
    assert states(second) == [StepState.CACHED] * 2
    assert home.ran == ["one", "two"]
    assert [one.output for one in second] == [one.output for one in first]
    assert {one.cached_from for one in second} == {"r1"}
    assert second[0].metrics == {"size": 3.0}
    assert home.platform.pipelines.of("r2") == second


def test_only_what_changed_is_done_again(home: Home) -> None:
    """A parameter whose step writes the same does not reach the step after it; new code does."""
    home.steps(1)
    home.replace("servewell.yaml", "size: 3", "size: 4")
    foreseen = foresee_steps(home.platform, home.workload, home.folder, names=BEFORE, outputs={})
    assert [(one.needed, one.because) for one in foreseen] == [
        (True, "its parameters changed since run r1"),
        (True, "`one` runs before it, and may write something else"),
    ]
    assert states(home.steps(2)) == [StepState.SUCCEEDED, StepState.CACHED]
    home.replace("two.py", "half", "nearly")
    assert states(home.steps(3)) == [StepState.CACHED, StepState.SUCCEEDED]
    home.replace("noting.py", '" "', '"  "')
    (again, _) = home.steps(4)
    assert again.because == "its code changed since run r3"


def test_an_output_that_is_lost_is_made_again(home: Home, tmp_path: Path) -> None:
    """A damaged blob costs one run of its step, and no wrong answer."""
    (one, _) = home.steps(1)
    assert one.output is not None
    digest = home.platform.outputs.files(one.output.digest)["numbers.txt"]
    (tmp_path / "home" / "blobs" / digest[:2] / digest).unlink()
    again = home.steps(2)
    assert states(again) == [StepState.SUCCEEDED, StepState.CACHED]
    assert again[0].because == "its output in run r1 is not whole"


def test_a_step_is_tried_again_and_each_reason_is_kept(home: Home) -> None:
    """It fails twice and then succeeds; with fewer retries the run ends with the last reason."""
    failing = "def work(inputs, output, *, size):\n    raise ValueError(size)\n"
    (home.folder / "one.py").write_text(failing)
    home.replace(
        "servewell.yaml",
        "    function: work\n    parameters",
        "    retries: 1\n    function: work\n    parameters",
    )
    with pytest.raises(StepFailedError, match="`one` failed"):
        home.steps(1)
    (failed,) = home.platform.pipelines.of("r1")
    assert failed.state is StepState.FAILED
    assert [one.error for one in failed.attempts] == ["ValueError: 3 (one.py, line 2)"] * 2
    assert failed.usage.cpu_s > 0
    (home.folder / "one.py").write_text(
        "from pathlib import Path\n"
        "def work(inputs, output, *, size):\n"
        "    seen = Path(__file__).with_name('seen')\n"
        "    if not seen.exists():\n"
        "        seen.touch()\n"
        "        raise OSError('not yet')\n"
        "    (output / 'numbers.txt').write_text('4')\n"
    )
    (one, two) = home.steps(2)
    assert [attempt.error is None for attempt in one.attempts] == [False, True]
    assert two.state is StepState.SUCCEEDED


TRAIN = """
from pathlib import Path
def train(data):
    seen = Path(__file__).with_name("seen.txt")
    tries = len(seen.read_text()) if seen.exists() else 0
    seen.write_text("x" * (tries + 1))
    if tries == 0:
        bytearray(1 << 30)
    assert int(Path("/proc/self/oom_score_adj").read_text()) >= 500  # ended before who serves
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    frame = pd.read_csv("rows.csv")
    return LogisticRegression().fit(frame[["a"]], frame["b"]), {"tries": tries + 1}
"""


def test_training_is_tried_again(platform: Platform, tmp_path: Path) -> None:
    """First it wants more memory than it may have: the reason is kept, the second try counts."""
    (tmp_path / "train.py").write_text(TRAIN)
    rows = "".join(f"{n / 100},{n % 2},2026-01-{n // 10 + 1:02}\n" for n in range(100))
    (tmp_path / "rows.csv").write_text(f"a,b,day\n{rows}")
    (tmp_path / "servewell.yaml").write_text(
        "workload: again\ntrain:\n  script: train.py\n  retries: 1\n"
        "  memory_bytes_max: 536870912\n"
        "data:\n  path: rows.csv\n  label: b\n  held_out:\n    column: day\n    start: 2026-01-09\n"
    )
    workload, folder = platform.workload_files.read(tmp_path)
    dataset = keep_dataset(platform, workload, folder)
    made = make_model(platform, workload, folder, dataset=dataset, progress=lambda _: None)
    (trained,) = platform.pipelines.of(made.run.id)
    assert [str(one.error).partition(" ")[0] for one in trained.attempts] == ["MemoryError", "None"]
    assert made.run.metrics == {"tries": 2.0}


OWN = """
import importlib.util
from pathlib import Path
import tinyword
assert importlib.util.find_spec("servewell") is None
class Model:
    def SerializeToString(self):
        return Path("first.onnx").read_bytes()
def train(data):
    return Model(), {"letters": len(tinyword.WORD)}
def step(inputs, output):
    (output / "rows.csv").write_text("x,y,colour\\n1,2,red\\n3,4,green\\n" * 10)
    return {"letters": len(tinyword.WORD)}
"""


def test_steps_and_training_run_in_environments_of_their_own(
    platform: Platform, tmp_path: Path
) -> None:
    """They import what their lock names, and Servewell is not there; the lock is in the package."""
    folder = tmp_path / "own"
    write_ready_made(folder, port=1)
    wheel(tmp_path / "wheels")
    lock = lock_of(tmp_path / "wheels")
    (folder / "lock.txt").write_bytes(lock)
    (folder / "own.py").write_text(OWN)
    (folder / "servewell.yaml").write_text(
        "workload: own\ntrain:\n  script: own.py\n  requirements: lock.txt\n"
        "steps:\n  rows:\n    script: own.py\n    function: step\n    requirements: lock.txt\n"
        "data:\n  step: rows\n  path: rows.csv\n"
    )
    workload, _ = platform.workload_files.read(folder)
    made = make_model(platform, workload, folder, dataset=None, progress=lambda _: None)
    assert made.run.metrics == {"letters": 5.0, "rows.letters": 5.0}
    files = made.version.manifest.files
    assert platform.blobs.read(files["training-requirements.txt"]) == lock
    (folder / "lock.txt").write_bytes(lock + b"# another\n")
    foreseen = foresee_pipeline(platform, workload, folder)
    assert [one.because[:23] for one in foreseen if one.needed] == [
        "its environment changed",
        "the step `rows` has to ",
    ]


def test_an_edit_during_a_step_keeps_nothing_of_it(home: Home) -> None:
    """What ran is not what stands there now: it is neither kept nor tried again."""
    home.replace("servewell.yaml", "    needs: [one]", "    needs: [one]\n    retries: 3")
    home.replace("two.py", "import os\n", "import os\nopen(__file__, 'a').write('#')\n")
    with pytest.raises(ChangedMeanwhileError, match="`two` was changed while it ran"):
        home.steps(1)
    (one, two) = home.platform.pipelines.of("r1")
    assert states((one, two)) == [StepState.SUCCEEDED, StepState.FAILED]
    assert "its code changed" in str(two.attempts[-1].error)
    assert len(two.attempts) == 1
    assert two.output is None


def test_an_edit_during_a_run_signs_nothing(home: Home) -> None:
    """A step that is done already is edited by a later one; the next run is whole."""
    home.replace("three.py", "    note(", "    import os\n    edit()\n    note(")
    edit = "from pathlib import Path\ndef edit():\n    Path('two.py').write_text(TWO)\n"
    (home.folder / "three.py").write_text(
        f"TWO = {TWO + '# edited'!r}\n{edit}{(home.folder / 'three.py').read_text()}"
    )
    with pytest.raises(ChangedMeanwhileError, match="no version is made"):
        home.make()
    assert home.platform.registry.list(None) == ()
    assert [one.state for one in home.platform.runs.list()] == [RunState.FAILED]
    version = home.make().version
    source = home.folder / version.manifest.lineage.source
    digest = home.platform.trainer.code_digest(home.folder, source)
    assert version.manifest.lineage.source_digest == digest


def test_a_run_whose_files_vanish_ends_in_words(home: Home) -> None:
    """A fault of the file system is no error of ours, and leaves no run open all the same."""
    (home.folder / "lock.txt").touch()
    home.replace(
        "servewell.yaml", "    needs: [one]", "    needs: [one]\n    requirements: lock.txt"
    )
    home.replace("one.py", '    note("one")', '    note("one")\n    Path("lock.txt").unlink()')
    with pytest.raises(FileNotFoundError):
        home.make()
    (run,) = home.platform.runs.list()
    assert run.state is RunState.FAILED
    assert str(run.error).startswith("FileNotFoundError: ")


def test_a_run_around_a_model(home: Home) -> None:
    """A check refuses the model; once it is mended nothing is trained again; then all is done."""
    foreseen = foresee_pipeline(home.platform, home.workload, home.folder)
    assert [one.name for one in foreseen if one.needed] == ["one", "two", "train", "three"]
    home.replace("three.py", "    return", "    raise SystemExit('too bad')\n    return")
    said: list[str] = []
    with pytest.raises(StepFailedError, match="`three` failed"):
        home.make(said)
    assert any(line.startswith("two ██████████░░░░░░░░░░ 50% half") for line in said)
    assert home.platform.registry.list(None) == ()
    (refused,) = home.platform.runs.list()
    assert refused.state is RunState.FAILED
    assert "SystemExit: too bad" in str(refused.error)
    tried = home.platform.pipelines.of(refused.id)
    assert [one.name for one in tried] == ["one", "two", "train", "three"]
    assert all(one.usage.cpu_s > 0 and one.usage.memory_bytes > 0 for one in tried)

    home.replace("three.py", "    raise SystemExit('too bad')\n", "")
    made = home.make()
    assert states(home.platform.pipelines.of(made.run.id)) == [
        *[StepState.CACHED] * 3,
        StepState.SUCCEEDED,
    ]
    assert home.ran == ["one", "two", "three", "three"]
    assert made.version.manifest.metrics == made.run.metrics == {"one.size": 3.0, "three.sum": 6.0}
    assert made.run.parameters == {"one.size": 3}
    assert set(home.platform.outputs.files(made.run.artifacts["code"])) == {
        "one.py",
        "two.py",
        "three.py",
        "noting.py",
    }
    assert not home.platform.steps.place(made.run.id, "one").exists()
    diff = diff_runs(home.platform, refused, made.run)
    assert "-    raise SystemExit('too bad')" in diff.code
    assert (diff.environment, diff.data, diff.parameters) == ((), (), ())

    again = home.make()
    assert again.run == made.run
    assert not again.decision.needed
    assert len(home.platform.runs.list()) == 2


KILLED = """
import os
from pathlib import Path
from servewell.flows.make_model import make_model
from servewell.wiring import open_platform

def say(line):
    if line.startswith({moment!r}):
        os.kill(os.getpid(), 9)

platform = open_platform(Path({home!r}))
workload, folder = platform.workload_files.read(Path({folder!r}))
make_model(platform, workload, folder, dataset=None, progress=say)
"""


def kill_at(home: Home, moment: str) -> Run:
    """Begin to make the model in a process that is killed at a moment; return its run."""
    folder = home.folder
    program = KILLED.format(moment=moment, home=str(folder.parent / "home"), folder=str(folder))
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = home.platform.runs.list()
    assert left.state is RunState.RUNNING
    assert not home.platform.steps.alive(left.id)
    return left


def assert_closed(home: Home, left: Run) -> None:
    """Nothing of a run that was killed is left open or half done."""
    assert home.platform.runs.get(left.id).state is RunState.INTERRUPTED
    assert StepState.RUNNING not in states(home.platform.pipelines.of(left.id))
    assert not home.platform.steps.place(left.id, "one").exists()


@pytest.mark.parametrize(("moment", "done"), [("one:", []), ("two:", ["one"]), ("two █", ["one"])])
def test_a_kill_before_training_repeats_nothing(home: Home, moment: str, done: list[str]) -> None:
    """Before a step, between two, and within one: what was done is taken, the rest is done."""
    left = kill_at(home, moment)
    before = home.ran
    close_interrupted(home.platform, "small")
    assert_closed(home, left)
    found = home.steps(1)
    assert [one.name for one in found if one.state is StepState.CACHED] == done
    assert home.ran[len(before) :] == [name for name in BEFORE if name not in done]


def test_a_kill_after_training_repeats_nothing(home: Home) -> None:
    """Where the version was not registered yet, that alone is left to do."""
    left = kill_at(home, "signing")
    assert home.platform.registry.list(None) == ()
    made = home.make()
    assert_closed(home, left)
    assert states(home.platform.pipelines.of(made.run.id)) == [StepState.CACHED] * 4
    assert home.ran == ["one", "two", "three"]
    assert len(home.platform.registry.list(None)) == 1
    assert made.run.metrics == {"one.size": 3.0, "three.sum": 6.0}


def test_a_run_that_was_killed_at_its_very_end_has_succeeded(platform: Platform) -> None:
    """Its version is registered: it is not made once more, and the run names it."""
    run = Run(id="run", workload="w", state=RunState.RUNNING, inputs_digest="a", started_at=1.0)
    platform.runs.save(run)
    made = platform.registry.add(version(1))
    close_interrupted(platform, "w")
    (ended,) = platform.runs.list()
    assert ended.state is RunState.SUCCEEDED
    assert ended.model_version == made.name == "flights:1"


def test_a_run_is_found_by_the_beginning_of_its_id(platform: Platform) -> None:
    """A unique beginning, or the whole id also where another one begins with it."""
    run = Run(id="abc", workload="w", state=RunState.RUNNING, inputs_digest="", started_at=1.0)
    for one in (run, replace(run, id="abcd"), replace(run, id="x")):
        platform.runs.save(one)
    assert find_run(platform, "abc").id == "abc"
    assert details_of(platform, "abcd").run.id == "abcd"
    assert find_run(platform, "x").id == "x"
    with pytest.raises(RunAmbiguousError, match="`ab`"):
        find_run(platform, "ab")
    for unknown in ("", "y"):
        with pytest.raises(RunMissingError):
            find_run(platform, unknown)
