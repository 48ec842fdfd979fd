"""The contract of `Machine`: what it says of this machine is so, and looking changes nothing."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from servewell.adapters.embedded.machine import LocalMachine
from servewell.ports.machine import Machine

MakeMachine = Callable[[Path], Machine]


@pytest.fixture(params=[pytest.param(LocalMachine, id="embedded")])
def machine_of(request: pytest.FixtureRequest) -> MakeMachine:
    """Each adapter in turn, made for a home."""
    made: MakeMachine = request.param
    return made


def test_sees_what_there_is(machine_of: MakeMachine, tmp_path: Path) -> None:
    """Cores, memory, disk and files are those of this process, and within reason."""
    facts = machine_of(tmp_path).facts()
    assert 1 <= facts.cores <= (os.cpu_count() or 1)
    assert facts.memory_bytes > 1 << 20
    assert 0 <= facts.disk_free_bytes <= facts.disk_total_bytes
    assert facts.open_files_max > 0
    assert facts.port_free is None
    assert {"postgres", "sklearn", "xgboost", "lightgbm"} == set(facts.extras)


def test_a_home_that_is_not_there_is_judged_by_the_folder_above(
    machine_of: MakeMachine, tmp_path: Path
) -> None:
    """Looking at a home that does not exist yet does not make it."""
    facts = machine_of(tmp_path / "new" / "home").facts()
    assert facts.home_writable
    assert not facts.home_exists
    assert facts.disk_total_bytes > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "link"])
def test_what_is_in_the_way_is_named(machine_of: MakeMachine, tmp_path: Path, name: str) -> None:
    """A file, or a link that leads nowhere, where a folder must be."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    facts = machine_of(tmp_path / name / "home").facts()
    assert not facts.home_writable
    assert str(tmp_path / name) in facts.home_fault


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_home_of_somebody_else_is_not_writable(machine_of: MakeMachine, tmp_path: Path) -> None:
    """A folder without the right to write is seen as such, without writing."""
    tmp_path.chmod(0o500)
    facts = machine_of(tmp_path).facts()
    assert not facts.home_writable
    assert str(tmp_path) in facts.home_fault


@pytest.mark.enable_socket
def test_knows_whether_a_port_is_free(machine_of: MakeMachine, tmp_path: Path) -> None:
    """A port with a listener is taken, and free again when it closes; looking leaves it free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert machine_of(tmp_path).facts(port=port).port_free is False
    assert machine_of(tmp_path).facts(port=port).port_free is True
    assert machine_of(tmp_path).facts(port=port).port_free is True


@pytest.mark.enable_socket
def test_a_host_that_is_not_here_has_no_free_port(machine_of: MakeMachine, tmp_path: Path) -> None:
    """An address of another machine cannot be listened on. 192.0.2.0/24 is nobody's (RFC 5737)."""
    assert machine_of(tmp_path).facts(host="192.0.2.1", port=8_080).port_free is False
