"""What is wrong between the keys of `retrain`."""

from typing import Any

import pytest

from servewell.core.catalog.workload_rules import breaches

GOOD: dict[str, Any] = {"workload": "small", "artifact": {"path": "a.onnx"}}


def faults(retrain: dict[str, Any], **others: Any) -> set[str]:  # noqa: ANN401 - as a file has it
    """Return the keys that are at fault in a workload with these rules."""
    found = breaches({**GOOD, **others, "retrain": retrain})
    return {".".join(str(step) for step in one.path) for one in found}


def test_all_faults_are_told_together() -> None:
    """The schedule, the zone, the data and the watch of one file."""
    retrain = {
        "schedule": "61 * * * *",
        "time_zone": "Mars/Base",
        "on_new_data": True,
        "data_pattern": "../*.parquet",
        "watch": {"folder": "a", "mlflow": "http://user:secret@host"},
    }
    keys = ("schedule", "time_zone", "on_new_data", "data_pattern", "watch", "watch.mlflow")
    assert faults(retrain) == {f"retrain.{key}" for key in keys}


@pytest.mark.parametrize(
    ("retrain", "key"),
    [
        ({"watch": {}}, "watch"),
        ({"watch": {"folder": "a", "model": "b"}}, "watch.model"),
        ({"data_pattern": "*.parquet"}, "data_pattern"),
        ({"on_signal": ["No Name"]}, "on_signal.0"),
        ({"watch": {"mlflow": "http://host", "model": "a' or 'b"}}, "watch.model"),
    ],
)
def test_a_key_at_fault_is_named(retrain: dict[str, Any], key: str) -> None:
    """By its path."""
    assert faults(retrain) == {f"retrain.{key}"}


def test_good_rules_have_no_fault() -> None:
    """With all that may stand together."""
    retrain = {
        "schedule": "0 3 * * MON",
        "time_zone": "Europe/Berlin",
        "on_new_data": True,
        "data_pattern": "incoming/*.parquet",
        "on_signal": ["drift", "quality"],
        "watch": {"mlflow": "https://mlflow.example.org/base", "model": "small"},
    }
    assert faults(retrain, data={"path": "rows.parquet"}) == set()
