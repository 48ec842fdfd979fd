"""Rows of a file to a real worker, batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servewell.core.catalog.rows import RowsInvalidError
from servewell.flows.keys import operator_key
from servewell.flows.platform import Platform
from servewell.flows.predict import NoKeyError, Predicted, caller_key, predict
from servewell.ports.door import RequestRefusedError
from servewell.ports.fleet import NotServingError
from servewell.ports.tables import Row
from servewell.wiring import open_platform
from serving.home import Home, flight_model

pytestmark = pytest.mark.enable_socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Flights:
    """An endpoint with two deployments behind a worker: `blue` answers 2 x delay + seats."""

    platform: Platform
    home: Home
    url: str
    key: str

    def predict(
        self, batches: Iterator[list[Row]], *, deployment: str | None = None
    ) -> Iterator[Predicted]:
        """Send rows to it."""
        return predict(
            self.platform, "flights", batches, key=self.key, url=self.url, deployment=deployment
        )


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    """Return an endpoint that the tests of this file share, and do not change."""
    home = Home(tmp_path_factory.mktemp("home"))
    key, grant = home.key()
    home.publish(
        home.deployment("blue", flight_model(2.0)),
        home.deployment("green", flight_model(3.0), version=2, share_bp=0),
        grants=(grant,),
    )
    with home.process():
        home.wait_for_snapshot()
        platform = open_platform(home.folder)
        url = f"http://127.0.0.1:{home.port}"
        yield Flights(platform=platform, home=home, url=url, key=key)
    home.close()


def row(number: int, **changes: object) -> Row:
    """Return a row as CSV gives it."""
    plain: Row = {"delay": str(number), "carrier": "UA", "seats": "100", "ticket": "x"}
    return plain | changes


def test_each_row_gets_its_answer_in_order(flights: Flights) -> None:
    """Rows are numbered through the file, converted, and answered as the model says."""
    batches = iter([[row(1), row(2)], [row(3)]])
    answers = list(flights.predict(batches))
    lines = [line for one in answers for line in one.by_row()]
    assert [line["row"] for line in lines] == [1, 2, 3]
    assert [line["late"] for line in lines] == [102.0, 104.0, 106.0]
    assert [line["deployment"] for line in lines] == ["blue"] * 3
    assert len({line["prediction_id"] for line in lines}) == 2
    assert answers[0].columns.ignored == ("ticket",)
    assert answers[0].columns.absent == ("name",)


def test_a_deployment_can_be_asked_alone(flights: Flights) -> None:
    """A pinned deployment answers, whatever the traffic is."""
    (answer,) = flights.predict(iter([[row(1)]]), deployment="green")
    assert answer.by_row()[0]["late"] == 103.0
    assert answer.answer.model_version == "2"


def test_a_refusal_names_the_rows_of_the_file(flights: Flights) -> None:
    """What the endpoint refuses is told with the number that the row has in the file."""
    batches = iter([[row(1), row(2)], [row(3), row(4, carrier="XX")], [row(5)]])
    answers = flights.predict(batches)
    assert next(answers).rows == 2
    with pytest.raises(RequestRefusedError, match="rows 3 to 4") as caught:
        next(answers)
    assert caught.value.faults[0].row == 4
    assert "row 4, `carrier`" in caught.value.why


def test_what_does_not_convert_is_not_sent(flights: Flights) -> None:
    """A fault that is seen here costs no request, and names the row of the file."""
    before = len(flights.home.records())
    answers = flights.predict(iter([[row(1)], [row(2, seats="many")]]))
    next(answers)
    with pytest.raises(RowsInvalidError) as caught:
        next(answers)
    assert caught.value.faults[0].row == 2
    assert len(flights.home.records()) == before + 1


def test_no_batch_is_read_before_its_turn(flights: Flights) -> None:
    """One batch is held at a time, so a file may have any size."""
    read: list[int] = []

    def endless() -> Iterator[list[Row]]:
        while True:
            read.append(1)
            yield [row(len(read))]

    answers = flights.predict(endless())
    for _ in range(3):
        next(answers)
    assert len(read) == 3


def test_the_key_that_is_given_comes_first(tmp_path: Path) -> None:
    """A given key is used; else the operator's, which goes to no URL; else there is none."""
    platform = open_platform(tmp_path / "home")
    with pytest.raises(NoKeyError):
        caller_key(platform, "")
    key = operator_key(platform)
    assert caller_key(platform, "given") == "given"
    assert caller_key(platform, "given", url="http://elsewhere") == "given"
    assert caller_key(platform, "") == key
    with pytest.raises(NoKeyError) as caught:
        caller_key(platform, "", url="http://elsewhere")
    assert "SERVEWELL_KEY" in caught.value.fix


def test_a_key_is_not_sent_where_this_home_does_not_serve(tmp_path: Path) -> None:
    """Whoever has the port by now gets no request, and so no key."""
    platform = open_platform(tmp_path / "home")
    with pytest.raises(NotServingError):
        next(predict(platform, "flights", iter([[row(1)]]), key="key"))


def test_the_key_needs_no_database(tmp_path: Path) -> None:
    """With the state out of reach predictions still find their key."""
    operator_key(open_platform(tmp_path))
    (tmp_path / "servewell.db").write_text("this is no database")
    assert caller_key(open_platform(tmp_path), "").startswith("sw_")
