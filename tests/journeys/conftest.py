"""A house of its own for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.house import (
    House,
    free_port,
    stop_everything,
    write_ready_made,
    write_workload,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Return a home with a workload that is not up; stop whatever the test leaves running."""
    port = free_port()
    write_workload(tmp_path / "small", port=port)
    made = House(home=tmp_path / "home", folder=tmp_path / "small", port=port)
    yield made
    stop_everything(made.home)


@pytest.fixture
def ready_house(tmp_path: Path) -> Iterator[House]:
    """Return a home whose models were made elsewhere, so that it is up in seconds."""
    port = free_port()
    write_ready_made(tmp_path / "small", port=port)
    made = House(
        home=tmp_path / "home",
        folder=tmp_path / "small",
        port=port,
        second="artifact.path=second.onnx",
    )
    yield made
    stop_everything(made.home)
