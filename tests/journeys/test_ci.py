"""A pipeline's steps, on this machine."""

import pytest

from journeys.house import House

pytestmark = pytest.mark.enable_socket


def test_a_change_goes_through_every_step_and_begins_a_rollout(ready_house: House) -> None:
    """Dry at first, where nothing that serves changes; live, where a rollout begins."""
    folder = str(ready_house.folder)
    ready_house.up()
    assert set(ready_house.json("ci", "init", folder).values()) == {"written"}
    assert set(ready_house.json("ci", "init", folder).values()) == {"is so already"}
    workload = ready_house.folder / "servewell.yaml"
    workload.write_text(workload.read_text().replace("first.onnx", "second.onnx"))
    page = ready_house.folder / "gates.html"
    dry = ready_house.json("ci", "run", folder, "--report", str(page))
    assert list(dry) == ["lock", "test", "train", "gate", "package", "scan", "roll-out"]
    assert dry["test"]["skipped"]
    assert dry["scan"]["skipped"] is False
    assert "nothing that may not be there" in dry["scan"]["words"]
    assert dry["roll-out"]["words"].startswith("would begin")
    assert "small:2" in page.read_text()
    assert ready_house.look("rollouts", "list") == []
    ready_house.json("ci", "run", folder, "--step", "roll-out", "--live", "--because", "merged")
    begun = ready_house.look("rollouts", "list")
    assert [one["candidate_version"] for one in begun] == ["small:2"]
    told = [one["because"] for one in ready_house.look("history", "small")]
    assert any("merged: small:2 is to take the requests" in one for one in told)


def test_a_pipeline_stops_where_the_environment_or_a_test_is_wrong(ready_house: House) -> None:
    """Each says what it found; nothing after it runs."""
    folder = str(ready_house.folder)
    ready_house.run("ci", "init", folder, "--for", "github")
    lock = ready_house.folder / "servewell.lock"
    lock.write_text(lock.read_text().replace("numpy==", "numpy==0."))
    wrong = ready_house.run("ci", "run", folder, "--step", "lock", check=False)
    assert wrong.returncode == 3
    assert "SW-165" in wrong.stderr
    (ready_house.folder / "test_small.py").write_text("def test_it():\n    assert 1 + 1 == 3\n")
    failed = ready_house.run("ci", "run", folder, "--step", "test", check=False)
    assert failed.returncode
    assert "assert (1 + 1) == 3" in failed.stderr
    assert ready_house.look("models", "list") == []
