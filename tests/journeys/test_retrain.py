"""The loop runs by itself: what calls for a training ends in a version, whoever dies meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from journeys.house import House, eventually, kill

pytestmark = pytest.mark.enable_socket

RULES = """
retrain:
  on_new_data: true
  settle_s: 0.5
  at_most_every_s: 3600
"""


def history(house: House) -> list[dict[str, Any]]:
    """Return the retrainings of the house."""
    found: list[dict[str, Any]] = house.look("retrain", "history", "small")
    return found


def test_worse_data_is_learned_from_and_kept_out(house: House) -> None:
    """New data begins a training, which outlives control; the gates keep its version out."""
    with (house.folder / "servewell.yaml").open("a") as file:
        file.write(RULES)
    up = house.up()
    assert history(house) == [], "what `up` learned from is not new"
    spoil(house.folder)
    eventually(lambda: any(one["pid"] for one in history(house)), within_s=90)
    (begun,) = history(house)
    kill(house.pids()["control"])
    assert Path(f"/proc/{begun['pid']}").exists(), "it lives on"

    eventually(lambda: bool(history(house)[0]["ended_at"]), within_s=120)
    (ended,) = history(house)
    assert (ended["trigger"], ended["state"], ended["attempt"]) == ("new-data", "failed", 1)
    assert "the gates do not let small:2 through" in ended["outcome"]
    status, answer = house.ask(up["key"])
    assert status == 200, answer
    served = house.look("endpoints", "show", "small")["deployments"]
    assert {one["version"] for one in served} == {1}
    assert [one["kind"] for one in house.look("history", "small")].count("retraining") == 2
    (told,) = house.look("retrain", "status")
    assert told["last"]["id"] == ended["id"]


def spoil(folder: Path) -> None:
    """Write data of which a column has another unit, and rows are copies of each other."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only here
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    rows = pq.read_table(folder / "rows.parquet")
    scaled = rows.set_column(0, "x", pc.multiply(rows["x"], 1_000.0))
    pq.write_table(pa.concat_tables([scaled, scaled]), folder / "rows.parquet.tmp")
    (folder / "rows.parquet.tmp").rename(folder / "rows.parquet")
