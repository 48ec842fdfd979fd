"""The contract of the figures that the control process tells."""

from pathlib import Path

import pytest

from servewell.adapters.embedded.monitoring.readings import FileReadings
from servewell.core.catalog.reading import DRIFT_PSI, WATCHED_AT, Reading
from servewell.ports.readings import FILE
from servewell.ports.storage import StorageError

TIME = Reading(name=WATCHED_AT, labels={}, value=1_700_000_000.5)
PSI = Reading(
    name=DRIFT_PSI,
    labels={"endpoint": "flights", "deployment": "v1", "side": "input", "column": 'a"b\\c\nd'},
    value=0.25,
)


def test_the_newest_figures_are_told(tmp_path: Path) -> None:
    """A second telling takes the place of the first, also for another who looks."""
    readings = FileReadings(tmp_path / "run")
    assert readings.told() == ()
    readings.tell((TIME, PSI))
    assert FileReadings(tmp_path / "run").told() == (TIME, PSI)
    readings.tell((TIME,))
    assert readings.told() == (TIME,)


def test_a_damaged_file_tells_nothing(tmp_path: Path) -> None:
    """What cannot be read is no figure, and the next telling mends it."""
    readings = FileReadings(tmp_path)
    (tmp_path / FILE).write_bytes(b'[{"name":')
    assert readings.told() == ()
    readings.tell((TIME,))
    assert readings.told() == (TIME,)


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made is a fault with words."""
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError):
        FileReadings(tmp_path / "run").tell((TIME,))
