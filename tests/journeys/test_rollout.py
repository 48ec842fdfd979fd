"""A rollout as a person sees it, with real workers, real records and a real control process."""

import time
from pathlib import Path

import pytest

from journeys.house import House, Load, eventually, kill, ready_made

pytestmark = pytest.mark.enable_socket

QUICK = """
rollout:
  strategy: {strategy}
  steps: [20%, 60%]
  step_min_s: 1
  watch_s: 1
  requests_min: 100
  margins:
    error_excess: 0.05
    latency_ratio: 9
    slow_ratio: 20
    score_psi: 9
  shadow:
    share: 50%
    requests: 30
    disagreement_max: 1
"""
FULL = {"v2": 10_000}
BACK = {"v1": 10_000}


def rolling(house: House, *, strategy: str = "canary") -> str:
    """Bring the house up, with a rollout that takes seconds; return the key."""
    file = house.folder / "servewell.yaml"
    rules = QUICK.format(strategy=strategy)
    file.write_text(file.read_text().replace("\nrollout:\n  watch_s: 0\n", rules))
    key: str = house.up()["key"]
    return key


def begin(house: House, model: Path) -> None:
    """Import a model, let it through, and begin to roll it out."""
    house.run("models", "import", str(model), "--name", "small")
    house.let_through("small:2")
    house.run("rollouts", "start", "small", "small:2", "--because", "a test")


def traffic(house: House) -> dict[str, int]:
    """Return the traffic as it is."""
    endpoint = house.look("endpoints", "show", "small")
    return {one["name"]: one["share_bp"] for one in endpoint["deployments"] if one["share_bp"]}


def newest(house: House) -> dict[str, object]:
    """Return the newest rollout."""
    found: dict[str, object] = house.look("rollouts", "list")[-1]
    return found


def failing_at_one() -> bytes:
    """Return a model like the first one, which fails on every row with an x of 1."""
    import onnx  # noqa: PLC0415 - heavy, and only here
    from onnx import TensorProto, helper  # noqa: PLC0415

    model = onnx.load_from_string(ready_made(slope=1.0))
    one = helper.make_tensor("unit", TensorProto.FLOAT, [1], [1.0])
    table = helper.make_tensor("table", TensorProto.FLOAT, [1], [0.0])
    model.graph.initializer.extend([one, table])
    nodes = [
        helper.make_node("Equal", ["x", "unit"], ["is_one"]),
        helper.make_node("Cast", ["is_one"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "place"], ["looked_up"]),
        helper.make_node("Add", ["sum", "looked_up"], ["sum_too"]),
    ]
    before, *rest = model.graph.node
    rest[0].input[0] = "sum_too"
    del model.graph.node[:]
    model.graph.node.extend([before, *nodes, *rest])
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.timeout(180)
def test_a_shadow_and_a_canary_reach_all_requests(ready_house: House) -> None:
    """Copies first, then shares, though a worker and the control process are killed on the way."""
    key = rolling(ready_house, strategy="shadow-then-canary")
    with Load(house=ready_house, key=key, callers=3) as load:
        begin(ready_house, ready_house.folder / "second.onnx")
        busy = ready_house.run("traffic", "small", "v1=100%", check=False)
        assert "SW-228" in busy.stderr
        eventually(lambda: traffic(ready_house).get("v2", 0) > 0, within_s=60)
        pids = ready_house.pids()
        kill(pids["worker-0"])
        kill(pids["control"])
        watched = ready_house.run("rollouts", "watch", "small")
        assert "promoted" in watched.stdout
    assert traffic(ready_house) == FULL
    assert load.refused == []
    found = newest(ready_house)
    assert found["stage"] == "promoted"
    assert found["comparison"]["requests"] >= 30  # type: ignore[index]  # JSON
    shown = ready_house.run("rollouts", "show", "small").stdout
    assert "errors" in shown
    assert "not worse" in shown
    for change in ready_house.look("history", "small"):
        assert sum(change["traffic"].values()) in (0, 10_000)


@pytest.mark.timeout(180)
def test_a_model_that_fails_is_gone_within_a_second(ready_house: House) -> None:
    """It is taken back and put in quarantine by itself; nobody is sent to it a second later."""
    key = rolling(ready_house)
    bad = ready_house.folder / "bad.onnx"
    bad.write_bytes(failing_at_one())
    with Load(house=ready_house, key=key, callers=3, refused=_Stamped()) as load:
        begin(ready_house, bad)
        eventually(lambda: newest(ready_house)["ended_at"] is not None, within_s=60)
        ended = time.monotonic()
        load.wait_answers(200)
        eventually(lambda: time.monotonic() - ended > 1.5, within_s=5)
    assert newest(ready_house)["stage"] == "rolled-back"
    assert traffic(ready_house) == BACK
    assert load.refused
    assert max(at for at, *_ in load.refused) - ended < 1.0
    quarantined = ready_house.look("endpoints", "show", "small")["deployments"][-1]["quarantined"]
    assert "requests failed" in quarantined or "errors" in quarantined
    told = ready_house.run("rollouts", "start", "small", "small:2", check=False)
    assert "quarantine" in told.stderr


class _Stamped(list):  # type: ignore[type-arg]  # of what `Load` keeps
    """Refusals, each with the moment at which it came."""

    def append(self, refusal: tuple[int, dict[str, object]]) -> None:
        """Keep a refusal as one that came now."""
        super().append((time.monotonic(), *refusal))
