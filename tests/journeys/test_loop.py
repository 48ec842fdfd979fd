"""What changes in the world is found, told to somebody, and learned, with no person in between."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from journeys.house import House, eventually
from ports.alert_receivers import Hook, Taken, hook

pytestmark = pytest.mark.enable_socket

KEY = "a key for a test"
RULES = """
monitoring:
  signals:
    retrain:
      on: [concept-drift]
      at_most_every_s: 3600
alerts:
  resolve_after_s: 1
  kinds:
    quality: {{severity: page}}
  receivers:
    desk:
      to: webhook
      url: {url}/alerts
      secret: env:DESK_KEY
      unencrypted: true
"""
ROLLOUT = """
rollout:
  steps: [50%]
  step_min_s: 1
  watch_s: 1
  requests_min: 30
  margins:
    error_excess: 0.05
    latency_ratio: 9
    slow_ratio: 20
    score_psi: 9
"""
ROWS = 4_000
WITHIN_S = 180  # for each step; what trains gives way to all others on the machine
XS = tuple(float(one % 20) - 10 for one in range(100))
YS = tuple(float(one % 7) for one in range(100))
BEFORE, AFTER = 3.0, 8.0  # from which sum on a row is large, before the world turned and after
TRUE = tuple(int(x + y > AFTER) for x, y in zip(XS, YS, strict=True))


@pytest.fixture
def desk() -> Iterator[Hook]:
    """Give a receiver of alerts."""
    with hook() as made:
        yield made


@pytest.mark.timeout(600)
def test_the_world_turns_and_the_model_follows(house: House, desk: Hook) -> None:
    """Labels prove it wrong, a webhook is told, it learns, is judged, promoted, and all is well."""
    house.environment = {"DESK_KEY": KEY}
    file = house.folder / "servewell.yaml"
    rules = file.read_text().replace("\nrollout:\n  watch_s: 0\n", ROLLOUT)
    file.write_text(rules + RULES.format(url=desk.url))
    write_rows(house.folder, limit=BEFORE)
    key = house.up()["key"]
    write_rows(house.folder, limit=AFTER)

    label(house, key)
    eventually(lambda: bool(news(desk, "fired")), within_s=WITHIN_S)
    is_told(*news(desk, "fired")[0])

    eventually(lambda: bool(trainings(house)), within_s=WITHIN_S)
    eventually(lambda: bool(trainings(house)[0]["ended_at"]), within_s=WITHIN_S)
    (trained,) = trainings(house)
    assert (trained["trigger"], trained["state"]) == ("signal", "succeeded"), trained
    eventually(
        lambda: bool([said(house, key) for _ in range(30)]) and promoted(house), within_s=WITHIN_S
    )
    assert served(house) == {2}
    answers = said(house, key)["label"]
    assert sum(a == b for a, b in zip(answers, TRUE, strict=True)) > 95

    eventually(lambda: bool(news(desk, "resolved")), within_s=WITHIN_S)
    story = house.look("history", "small")
    told = [one["kind"] for one in story if one["kind"] not in ("alert", "rollout-moved")]
    assert told[-5:] == ["signal", "retraining", "rollout-started", "retraining", "rollout-ended"]
    assert all("concept-drift" in one["because"] for one in story if one["kind"] == "signal")


def is_told(told: dict[str, Any], sent: Taken) -> None:
    """Hold what a webhook was told: what is wrong, how that is known, and what to do."""
    assert told["kind"] == "quality"
    assert "small:1" in told["what"]
    assert "labels" in told["because"]
    assert told["runbook"]
    assert told["next"] == "servewell quality small"
    assert signed(sent)


def write_rows(folder: Path, *, limit: float) -> None:
    """Write the rows to learn from, which are large beyond a limit."""
    import numpy as np  # noqa: PLC0415 - heavy, and only here
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    draw = np.random.default_rng(int(limit))  # others than before, as rows of later days are
    x, y = draw.uniform(-10, 10, ROWS), draw.uniform(0, 7, ROWS)
    colour = draw.choice(["red", "green", "blue"], ROWS)
    table = pa.table({"x": x, "y": y, "colour": colour, "large": (x + y > limit).astype(int)})
    pq.write_table(table, folder / "rows.parquet.tmp")
    (folder / "rows.parquet.tmp").rename(folder / "rows.parquet")


def colours() -> list[str]:
    """Return a colour for each row."""
    return [("red", "green", "blue")[one % 3] for one in range(len(XS))]


def said(house: House, key: str) -> dict[str, Any]:
    """Send all rows as one request; return the outputs by name, and the prediction id."""
    many = [len(XS), 1]
    inputs = [
        {"name": "x", "shape": many, "datatype": "FP32", "data": XS},
        {"name": "y", "shape": many, "datatype": "FP32", "data": YS},
        {"name": "colour", "shape": many, "datatype": "BYTES", "data": colours()},
    ]
    connection = house.connection()
    try:
        words = {"Authorization": f"Bearer {key}"}
        body = json.dumps({"inputs": inputs})
        connection.request("POST", "/v2/models/small/infer", body, words)
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    outputs = {one["name"]: one["data"] for one in answer["outputs"]}
    return {**outputs, "id": answer["parameters"]["prediction_id"]}


def label(house: House, key: str) -> None:
    """Have three requests answered, and say what was true of each of their rows."""
    lines = ["prediction_id,label,row"]
    for _ in range(3):
        prediction = said(house, key)["id"]
        lines += [f"{prediction},{one},{row}" for row, one in enumerate(TRUE)]
    found = house.folder / "labels.csv"
    found.write_text("\n".join(lines))

    def joined() -> bool:
        done = house.run("labels", "add", str(found), "--json")
        return bool(json.loads(done.stdout)["unknown"] == 0)

    eventually(joined, within_s=60)


def news(desk: Hook, reason: str) -> list[tuple[dict[str, Any], Taken]]:
    """Return the alerts that came for a reason, each with the request that brought it."""
    return [
        (one, sent)
        for sent in desk.taken
        if sent.value["reason"] == reason
        for one in sent.value["alerts"]
    ]


def signed(sent: Taken) -> bool:
    """Whether a request was signed with the key of the receiver."""
    text = sent.headers["x-servewell-timestamp"].encode() + b"." + sent.body
    good = hmac.new(KEY.encode(), text, hashlib.sha256).hexdigest()
    return hmac.compare_digest(sent.headers["x-servewell-signature"], f"v1={good}")


def trainings(house: House) -> list[dict[str, Any]]:
    """Return the retrainings of the house."""
    found: list[dict[str, Any]] = house.look("retrain", "history", "small")
    return found


def served(house: House) -> set[int]:
    """Return the versions that take requests."""
    endpoint = house.look("endpoints", "show", "small")
    return {one["version"] for one in endpoint["deployments"] if one["share_bp"]}


def promoted(house: House) -> bool:
    """Whether the newest rollout has ended."""
    return bool(house.look("rollouts", "list")[-1]["ended_at"])
