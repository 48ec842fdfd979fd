"""The contract of `Errands`."""

import os
import threading
from pathlib import Path

import pytest

from servewell.adapters.embedded.errands import FileErrands
from servewell.ports.errands import Errand, Errands, Report
from servewell.ports.storage import StorageError

NOW = 1_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where errands are kept; it does not exist yet."""
    return tmp_path / "run" / "errands"


@pytest.fixture(params=[pytest.param(FileErrands, id="embedded")])
def errands(request: pytest.FixtureRequest, folder: Path) -> Errands:
    """Each adapter in turn."""
    made: Errands = request.param(folder)
    return made


def errand(errand_id: str = "one", *, until: float = NOW + 5, loaded: bool = True) -> Errand:
    """Return an errand."""
    return Errand(id=errand_id, endpoint="flights", loaded=loaded, principal="Ada", until=until)


def test_an_errand_is_there_until_it_is_done(errands: Errands) -> None:
    """It is found again and again, whole, and then never more."""
    assert errands.open(NOW) == ()
    errands.give(errand())
    assert errands.open(NOW) == errands.open(NOW) == (errand(),)
    errands.done(Report(id="one", fault=""))
    assert errands.open(NOW) == ()


def test_a_report_is_read_once_by_who_gave_the_errand(errands: Errands) -> None:
    """Each errand has a report of its own, and nothing is told before it is done."""
    errands.give(errand("one"))
    errands.give(errand("two"))
    assert errands.report("one") is None
    errands.done(Report(id="two", fault="it is not there"))
    assert errands.report("one") is None
    assert errands.report("two") == Report(id="two", fault="it is not there")
    assert errands.report("two") is None


def test_what_nobody_waits_for_is_not_done(errands: Errands) -> None:
    """An errand whose time has passed, or that was withdrawn, is gone."""
    errands.give(errand("late", until=NOW - 0.001))
    errands.give(errand("early", until=NOW))
    errands.give(errand("withdrawn"))
    errands.withdraw("withdrawn")
    errands.withdraw("never given")
    assert [one.id for one in errands.open(NOW)] == ["early"]
    assert errands.open(NOW + 1) == ()


def test_a_report_that_nobody_reads_is_forgotten(errands: Errands, folder: Path) -> None:
    """A worker that died leaves nothing for ever."""
    errands.done(Report(id="one", fault=""))
    for place in folder.iterdir():
        os.utime(place, (1.0, 1.0))
    errands.open(NOW)
    assert list(folder.iterdir()) == []


def test_what_is_no_errand_is_forgotten(errands: Errands, folder: Path) -> None:
    """Damage is removed, and does no harm to the others."""
    errands.give(errand())
    (folder / "damaged.errand").write_bytes(b'{"id": 1')
    assert errands.open(NOW) == (errand(),)
    assert not (folder / "damaged.errand").exists()


def test_many_at_once_are_all_found(errands: Errands) -> None:
    """Givers do not disturb each other, nor who looks meanwhile."""
    names = [f"{number:03}" for number in range(24)]

    def give(part: list[str]) -> None:
        for name in part:
            errands.give(errand(name))
            errands.open(NOW)

    threads = [threading.Thread(target=give, args=(names[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.id for one in errands.open(NOW)) == names


def test_a_folder_that_cannot_be_is_told(errands: Errands, folder: Path) -> None:
    """A disk that refuses is a StorageError."""
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"")
    with pytest.raises(StorageError):
        errands.give(errand())
    assert errands.open(NOW) == ()
