"""The contract of `Stops`."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.stops import FileStops
from servewell.core.catalog.stop import EVERY, StopMode, StopNote, StopOrder
from servewell.ports.stops import Stops, StopsCorruptError
from servewell.ports.storage import StorageError


def embedded(home: Path) -> Stops:
    """Return the stops of a home on this machine."""
    return FileStops(home / "stops", signer=HomeSigner(FileSecrets(home / "keys")))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture(params=[pytest.param(embedded, id="embedded")])
def stops(request: pytest.FixtureRequest, home: Path) -> Stops:
    """Each adapter in turn."""
    make: Callable[[Path], Stops] = request.param
    return make(home)


def order(endpoint: str = "flights", *, at: float = 1.0) -> StopOrder:
    """Return an order with something of everything."""
    return StopOrder(
        endpoint=endpoint,
        mode=StopMode.CONSTANT,
        outputs={"late": 0.5, "count": 3, "word": "x", "sure": True},
        because="it answers nonsense",
        principal="Ada",
        at=at,
    )


def lift(stops: Stops, endpoint: str = "flights", *, at: float = 9.0) -> bool:
    """Lift a stop."""
    return stops.lift(endpoint, because="mended", principal="Grace", at=at)


def test_before_the_first_there_is_none(stops: Stops) -> None:
    """A new home has no stop, nothing to tell, and nothing to lift."""
    assert stops.current() == ()
    assert stops.untold() == ()
    assert stops.token() is None
    assert not lift(stops)


def test_a_stop_holds_until_it_is_lifted(stops: Stops, home: Path) -> None:
    """Every reader, in any process, sees it whole; then it is gone, and others are not."""
    stops.put(order())
    stops.put(order("arrivals"))
    for reader in (stops, embedded(home)):
        assert reader.current() == (order("arrivals"), order())
    assert lift(stops)
    assert not lift(stops)
    assert embedded(home).current() == (order("arrivals"),)


def test_one_endpoint_has_the_newest_stop_alone(stops: Stops) -> None:
    """Another order takes the place of the one before."""
    stops.put(order())
    newer = replace(order(at=2.0), mode=StopMode.REFUSE, outputs={})
    stops.put(newer)
    assert stops.current() == (newer,)


def test_the_token_tells_every_change(stops: Stops) -> None:
    """Orders in quick succession have different tokens; looking changes none."""
    seen = [stops.token()]
    for number in range(20):
        stops.put(order(at=float(number)))
        seen.append(stops.token())
        assert stops.token() == seen[-1]
    assert len(set(seen)) == len(seen)


def test_what_was_done_is_noted_until_it_is_told(stops: Stops) -> None:
    """Each order and each lifting is there for the history, oldest first, and once told no more."""
    stops.put(order())
    lift(stops)
    noted = stops.untold()
    assert [(one.endpoint, one.order, one.at) for one in noted] == [
        ("flights", order(), 1.0),
        ("flights", None, 9.0),
    ]
    assert noted[1] == StopNote(
        endpoint="flights", order=None, because="mended", principal="Grace", at=9.0
    )
    stops.told(noted[0])
    stops.told(noted[0])
    assert stops.untold() == noted[1:]
    assert stops.current() == ()


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "resigned"])
def test_what_is_damaged_is_not_read_and_a_new_order_mends_it(
    stops: Stops, home: Path, damage: str
) -> None:
    """No reader takes a part of it, or what another key has signed.

    The next order holds, and so does one that refuses everything else, until it is lifted.
    """
    stops.put(order())
    place = home / "stops" / "orders"
    data = place.read_bytes()
    if damage == "resigned":
        other = home.parent / "other"
        embedded(other).put(order("arrivals"))
        data = (other / "stops" / "orders").read_bytes()
    broken = {"cut": data[:-1], "flipped": data.replace(b"Ada", b"Eve"), "emptied": b""}
    place.write_bytes(broken.get(damage, data))
    for read in (stops.current, stops.untold, lambda: lift(stops)):
        with pytest.raises(StopsCorruptError):
            read()
    stops.put(order(at=5.0))
    everything, own = stops.current()
    assert own == order(at=5.0)
    assert (everything.endpoint, everything.mode) == (EVERY, StopMode.REFUSE)
    assert [one.endpoint for one in stops.untold()] == [EVERY, "flights"]
    stops.put(order("arrivals"))
    assert lift(stops, EVERY)
    assert stops.current() == (order("arrivals"), own)


def test_what_cannot_be_read_is_left_as_it_is(stops: Stops, home: Path) -> None:
    """A disk that refuses says nothing of what was stopped: no order begins anew over it."""
    stops.put(order("arrivals"))
    place = home / "stops" / "orders"
    kept = place.rename(home / "kept")
    place.mkdir()
    for use in (stops.current, stops.untold, lambda: stops.put(order())):
        with pytest.raises(StorageError):
            use()
    place.rmdir()
    kept.rename(place)
    assert stops.current() == (order("arrivals"),)


def test_one_at_a_time_tells_the_history(stops: Stops, home: Path) -> None:
    """Another one is told so at once, and may when the first has done; nobody who orders waits."""
    with stops.telling() as first, embedded(home).telling() as second:
        stops.put(order())
        assert (first, second) == (True, False)
    with embedded(home).telling() as second:
        assert second


def test_orders_at_once_are_all_kept(stops: Stops, home: Path) -> None:
    """Writers wait for each other, and readers meanwhile see whole stops."""
    names = [f"e{number:02}" for number in range(18)]

    def put(part: list[str]) -> None:
        own = embedded(home)
        for name in part:
            own.put(order(name))
            own.current()

    stops.put(order(names[0]))
    threads = [threading.Thread(target=put, args=(names[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.endpoint for one in stops.current()] == names


def test_a_folder_that_cannot_be_is_told(stops: Stops, home: Path) -> None:
    """A disk that refuses is a StorageError, and nobody is told that the stop holds."""
    home.mkdir(parents=True)
    (home / "stops").write_bytes(b"")
    with pytest.raises(StorageError):
        stops.put(order())
