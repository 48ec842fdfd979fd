"""A model that is Python code, from its workload to a quarantine and back."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from journeys.house import House, eventually, free_port, stop_everything

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(240)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "iris-neighbours"
NAME = "iris-neighbours"
FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
DEADLY = {**FLOWER, "sepal_length": 19.0}
KILLS = """        if (columns["sepal_length"] > 18).any():
            import os
            os._exit(1)
"""


@pytest.fixture
def flowers(tmp_path: Path) -> Iterator[House]:
    """Return the example in a home of its own, not up."""
    folder = tmp_path / "flowers"
    shutil.copytree(EXAMPLE, folder)
    made = House(home=tmp_path / "home", folder=folder, port=free_port())
    yield made
    stop_everything(made.home)


def up(house: House, *words: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Bring the example up at the port of the house, with one worker."""
    return house.up(*settings(house, *words))


def settings(house: House, *words: str) -> list[str]:
    """Return the options of `up` at the port of the house, with one worker."""
    few = ("gates.rows_min=10", "rollout.watch_s=0")
    chosen = (f"serving.port={house.port}", "serving.workers=1", *few, *words)
    return [word for one in chosen for word in ("--set", one)]


def predict(house: House, row: dict[str, float]) -> tuple[int, dict[str, Any]]:
    """Predict one row; return the exit code and what was printed as JSON."""
    done = house.run("predict", NAME, "--row", json.dumps(row), "--json", check=False)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else {}


def edit(house: House, before: str, after: str) -> None:
    """Change the script of the predictor."""
    script = house.folder / "predictor.py"
    text = script.read_text()
    assert before in text
    script.write_text(text.replace(before, after))


def refusal(house: House, *words: str) -> str:
    """Return what a command says that fails."""
    done = house.run(*words, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_predictor_is_served_withdrawn_and_tried_again(flowers: House) -> None:
    """Its own answers, a version that kills its process, the traffic that returns, a deploy."""
    first = up(flowers)
    assert first["answer"]["outputs"]["species"]
    assert first["equivalence"]["rows"] == 15
    _, answer = predict(flowers, FLOWER)
    assert "setosa" in json.dumps(answer)
    shown = flowers.run("models", "show", NAME).stdout
    assert (
        "as Python, a process for each worker, in the environment of Servewell, 2 s a call" in shown
    )
    assert up(flowers)["because"].startswith("data, code, parameters and environment are those of")

    edit(flowers, "        asked = np.stack", f"{KILLS}        asked = np.stack")
    assert up(flowers)["version"] == f"{NAME}:2"
    flowers.promote(NAME)
    assert predict(flowers, DEADLY)[0] != 0

    def withdrawn() -> bool:
        predict(flowers, DEADLY)
        return bool(served(flowers) == {"v1": 10_000})

    eventually(withdrawn, within_s=60)
    eventually(lambda: predict(flowers, DEADLY)[0] == 0, within_s=20)
    assert "v2 is in quarantine because its process ended 3 times" in flowers.run("status").stdout
    assert "in quarantine" in flowers.run("endpoints", "show", NAME).stdout
    changes = flowers.look("history", NAME)
    assert "its process ended 3 times within 60 s" in json.dumps(changes)
    assert "SW-412" in refusal(flowers, "traffic", NAME, "v2=100%")
    assert "SW-412" in refusal(flowers, "rollback", NAME, "--to", "v2")
    again = refusal(flowers, "up", str(flowers.folder), "--detach", *settings(flowers))
    assert "SW-412" in again
    assert served(flowers) == {"v1": 10_000}
    flowers.run("deploy", NAME, f"{NAME}:2")
    assert served(flowers) == {"v2": 10_000}
    eventually(lambda: predict(flowers, FLOWER)[0] == 0, within_s=20)
    assert "quarantine" not in flowers.run("status").stdout


def served(house: House) -> dict[str, int]:
    """Return the traffic of the example, by deployment."""
    endpoint = house.look("endpoints", "show", NAME)
    return {one["name"]: one["share_bp"] for one in endpoint["deployments"] if one["share_bp"]}


def test_a_predictor_that_is_killed_comes_again(flowers: House) -> None:
    """A signal from outside costs a moment; the next request is answered by a new process."""
    up(flowers)
    [pid] = hosts(flowers)
    os.kill(pid, signal.SIGKILL)
    predict(flowers, FLOWER)
    eventually(lambda: predict(flowers, FLOWER)[0] == 0, within_s=20)
    assert hosts(flowers) != [pid]
    flowers.run("down")
    assert hosts(flowers) == []


def hosts(house: House) -> list[int]:
    """Return the processes of predictors of a home."""
    place = os.fsencode(house.home / "run" / "predictors")
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place in one.read_bytes():
                found.append(int(one.parent.name))
        except OSError:
            continue
    return found
