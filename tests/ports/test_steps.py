"""The contract of `Steps`, run for real: each attempt is a process."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servewell.adapters.embedded.steps import ProcessSteps
from servewell.ports.steps import (
    Progressed,
    StepFailedError,
    StepJob,
    StepMemoryError,
    Steps,
    StepTimeoutError,
)

MIB = 1 << 20


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of runs, which is not there yet."""
    return tmp_path / "home" / "runs"


@pytest.fixture(params=[pytest.param(ProcessSteps, id="processes")])
def steps(request: pytest.FixtureRequest, runs: Path) -> Steps:
    """Each adapter in turn."""
    made: Steps = request.param(runs)
    return made


def job(folder: Path, text: str, **changes: object) -> StepJob:
    """Return a job whose script is `text`; its function is `work` unless another is named."""
    script = folder / "step.py"
    script.write_text(textwrap.dedent(text), encoding="utf-8")
    given = {"run": "r", "step": "one", "attempt": 1, "folder": folder, "function": "work"}
    return StepJob(script=script, **given | changes)  # type: ignore[arg-type]  # the tests name right fields


def test_a_function_gets_folders_and_parameters(steps: Steps, tmp_path: Path) -> None:
    """Inputs by name, an empty output, parameters with their types; metrics and usage come back."""
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "a.txt").write_text("hello", encoding="utf-8")
    text = """
        def work(inputs, output, *, times, name):
            assert list(output.iterdir()) == []
            assert int(open("/proc/self/oom_score_adj").read()) >= 500  # before who serves
            (output / "b.txt").write_text((inputs["before"] / "a.txt").read_text() * times + name)
            print("done", 5)
            return {"rows": 3, "share": 0.5}
        """
    done = steps.run(
        job(
            tmp_path,
            text,
            inputs={"before": tmp_path / "before"},
            parameters={"times": 2, "name": "!"},
        ),
        lambda _: None,
    )
    assert (done.output / "b.txt").read_text() == "hellohello!"
    assert done.metrics == {"rows": 3.0, "share": 0.5}
    assert 0 < done.usage.cpu_s < 60
    assert 5 * MIB < done.usage.memory_bytes < 500 * MIB
    assert steps.log("r", "one", 1).read_text() == "done 5\n"


def test_a_program_gets_them_by_arguments_and_variables(steps: Steps, tmp_path: Path) -> None:
    """A script without a function is run as a program, and writes its metrics to a file."""
    text = """
        import json, os, sys
        from pathlib import Path
        assert __name__ == "__main__"
        told = {"arguments": sys.argv[1:], "input": os.environ["STEP_INPUT_DAILY_ROWS"]}
        Path(os.environ["STEP_OUTPUT"], "told.json").write_text(json.dumps(told))
        Path(os.environ["STEP_METRICS"]).write_text('{"rows": 3}')
        sys.exit(0)
        """
    made = job(
        tmp_path,
        text,
        function=None,
        inputs={"daily-rows": tmp_path},
        parameters={"n": 2, "on": True, "word": "x y"},
    )
    done = steps.run(made, lambda _: None)
    told = json.loads((done.output / "told.json").read_text())
    assert told == {"arguments": ["--n=2", "--on=true", "--word=x y"], "input": str(tmp_path)}
    assert done.metrics == {"rows": 3.0}


def test_progress_is_told_as_it_is_made(steps: Steps, tmp_path: Path) -> None:
    """By a call or by a printed line, also one of a child; other lines are none."""
    text = """
        import subprocess, sys
        def work(inputs, output, progress):
            progress(0.25, "a quarter")
            print("progress report: fine")
            print("progress 50%")
            subprocess.run([sys.executable, "-c", "print('progress 0.75 by a child')"])
            print("progress 7")
        """
    told: list[Progressed] = []
    steps.run(job(tmp_path, text), told.append)
    assert told == [
        Progressed(share=0.25, words="a quarter"),
        Progressed(share=0.5),
        Progressed(share=0.75, words="by a child"),
        Progressed(share=1.0),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def work(inputs, output):\n    return [][3]\n", "IndexError: list index out of range (s"),
        ("import nothing_like_it\n", "No module named 'nothing_like_it' (step.py, line 1)"),
        ("def work(:\n", "SyntaxError"),
        ("def other(inputs, output): ...\n", "no function `work`; it has `other`"),
        ("def work(inputs): ...\n", "is given `inputs`, `output`, and is written as work(inputs)"),
        ("def work(inputs, output):\n    return 3\n", "it returned int"),
        ("def work(inputs, output):\n    return {'a': 'b'}\n", "the metric `a` is 'b'"),
        ("def work(inputs, output):\n    return {'a': float('nan')}\n", "no finite number"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import os\nprint('last words', flush=True)\nos._exit(4)\n", "it last wrote: last words"),
        ("import os\nos.kill(os.getpid(), 9)\n", "SIGKILL"),
        ("import os\nos.fork()\nos.abort()\n", "SIGABRT"),
    ],
)
def test_a_failure_is_told_in_words(steps: Steps, tmp_path: Path, text: str, words: str) -> None:
    """Whatever the code does, the caller gets one sentence, and where the log is."""
    with pytest.raises(StepFailedError) as caught:
        steps.run(job(tmp_path, text), lambda _: None)
    assert words in caught.value.why
    assert str(steps.log("r", "one", 1)) in caught.value.fix
    assert caught.value.usage.cpu_s > 0


def test_a_step_that_hangs_is_ended_with_all_it_started(steps: Steps, tmp_path: Path) -> None:
    """After its time nothing of it runs."""
    text = """
        import subprocess, time
        from pathlib import Path
        def work(inputs, output):
            child = subprocess.Popen(["sleep", "60"])
            print(child.pid, flush=True)
            time.sleep(60)
        """
    with pytest.raises(StepTimeoutError, match="ended after 1 s"):
        steps.run(job(tmp_path, text, timeout_s=1.0), lambda _: None)
    assert eventually(lambda: not running(int(steps.log("r", "one", 1).read_text())))


def test_a_step_gets_no_more_memory_than_it_may_have(steps: Steps, tmp_path: Path) -> None:
    """More is refused where it is asked for, and told as what it is."""
    text = "def work(inputs, output):\n    return {'n': len(bytearray(600 * 2**20))}\n"
    with pytest.raises(StepMemoryError, match="more memory") as caught:
        steps.run(job(tmp_path, text, memory_bytes_max=256 * MIB), lambda _: None)
    assert f"{256 * MIB:,} bytes" in caught.value.why


def test_another_attempt_starts_clean_and_the_logs_stay(steps: Steps, tmp_path: Path) -> None:
    """What a failed attempt left in the output is gone, its log is not."""
    failing = "def work(inputs, output):\n    (output / 'half').touch()\n    raise KeyError\n"
    with pytest.raises(StepFailedError):
        steps.run(job(tmp_path, failing), lambda _: None)
    text = "def work(inputs, output):\n    print(list(output.iterdir()))\n"
    done = steps.run(job(tmp_path, text, attempt=2), lambda _: None)
    assert list(done.output.iterdir()) == []
    assert "KeyError" in steps.log("r", "one", 1).read_text()
    assert steps.log("r", "one", 2).read_text() == "[]\n"
    steps.clear("r")
    steps.clear("r")
    assert not done.output.exists()
    assert steps.log("r", "one", 2).exists()


def test_a_step_sees_no_secret(
    steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment holds what Python needs, and nothing that the caller has beside that."""
    monkeypatch.setenv("SERVEWELL_DATABASE_URL", "hunter2")
    text = "import os\ndef work(inputs, output):\n    print(dict(os.environ))\n"
    steps.run(job(tmp_path, text), lambda _: None)
    assert "hunter2" not in steps.log("r", "one", 1).read_text()


def test_nothing_of_a_step_outlives_a_caller_that_is_killed(
    steps: Steps, tmp_path: Path, runs: Path
) -> None:
    """The step, and what it started, end; and the run that was held is alive no more."""
    note = tmp_path / "pids"
    text = f"""
        import os, subprocess, time
        from pathlib import Path
        def work(inputs, output):
            child = subprocess.Popen(["sleep", "60"])
            Path("{note}.new").write_text(f"{{os.getpid()}} {{child.pid}}")
            os.rename("{note}.new", "{note}")
            time.sleep(60)
        """
    script = job(tmp_path, text).script
    program = f"""
        from pathlib import Path
        from servewell.adapters.embedded.steps import ProcessSteps
        from servewell.ports.steps import StepJob
        steps, script = ProcessSteps(Path({str(runs)!r})), Path({str(script)!r})
        job = StepJob(run="r", step="one", attempt=1, folder=script.parent, script=script,
                      function="work")
        with steps.held("r"):
            steps.run(job, print)
        """
    caller = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    assert eventually(note.exists)
    assert steps.alive("r")
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    pids = [int(pid) for pid in note.read_text().split()]
    assert eventually(lambda: not any(map(running, pids)))
    assert not steps.alive("r")


def test_a_run_is_alive_while_it_is_held(steps: Steps) -> None:
    """Within the block, also to whoever asks in the same process; neither before nor after."""
    assert not steps.alive("r")
    with steps.held("r"):
        assert steps.alive("r")
    assert not steps.alive("r")


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(what: Callable[[], bool]) -> bool:
    """Whether something comes to hold within a while."""
    deadline = time.monotonic() + 20
    while not what() and time.monotonic() < deadline:
        os.sched_yield()
        time.sleep(0.01)
    return what()
