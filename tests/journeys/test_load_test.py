"""What `servewell load-test` says of an endpoint that is up."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from journeys.house import House, free_port, stop_everything, write_ready_made

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a home that is up, for all tests of this file."""
    folder = tmp_path_factory.mktemp("load")
    port = free_port()
    write_ready_made(folder / "small", port=port)
    made = House(home=folder / "home", folder=folder / "small", port=port)
    try:
        made.up()
        yield made
    finally:
        stop_everything(made.home)


def test_a_load_that_is_carried(served: House, tmp_path: Path) -> None:
    """The rate counts as carried, the report is there, and every request is in the log."""
    before = len(served.look("records", "small", "--limit", "100000"))
    found = served.json(
        "load-test", "small", "--plan", "40@2s", "--objective-ms", "1000", "--rows", "3",
        "--report", str(tmp_path / "report"),
    )  # fmt: skip
    (stage,) = found["stages"]
    assert stage["carried"]
    assert found["capacity_per_s"] == pytest.approx(40, rel=0.5)
    assert stage["littles_law"]["holds"] in (True, None)
    assert stage["statuses"] == {"200": found["requests"]}
    page = Path(found["report_html"]).read_text()
    assert "<svg" in page
    assert "http" not in page.replace(found["address"], "").replace("http://www.w3.org", "")
    seconds = json.loads(Path(found["report_json"]).read_text())["windows"]
    assert sum(one["due"] for one in seconds) == found["requests"]
    records = served.look("records", "small", "--limit", "100000")
    assert len(records) - before == found["requests"] + 1  # one is sent to try


def test_an_objective_that_is_missed_has_an_exit_code(served: House, tmp_path: Path) -> None:
    """A pipeline can hold a release to it."""
    done = served.run(
        "load-test", "small", "--plan", "20@1s", "--objective-ms", "0.1",
        "--report", str(tmp_path / "report"), check=False,
    )  # fmt: skip
    assert done.returncode == 8
    assert "over the objective of 0.1 ms" in done.stdout


def test_what_cannot_be_carried_out_is_said(served: House, tmp_path: Path) -> None:
    """A plan, a file and an endpoint that are wrong, and nothing that serves: words, no trace."""
    empty = tmp_path / "empty.csv"
    empty.write_text("x,y,colour\n")
    dry = served.run("load-test", "small", "--plan", "10@3s,10..30@1m", "--dry-run")
    assert dry.stdout == "would send about 1,230 requests in 63 s: 10@3s, then 10..30@60s\n"
    never = House(home=tmp_path / "never", folder=served.folder, port=served.port)
    nothing = never.run("load-test", "small", check=False)
    assert (nothing.returncode, "SW-123" in nothing.stderr) == (3, True)
    for words, code in (
        (("small", "--plan", "fast"), "SW-124"),
        (("small", "--input", str(empty)), "SW-125"),
        (("small", "--rows-from", "dataset"), "SW-125"),
        (("other",), "SW-330"),
    ):
        done = served.run("load-test", *words, check=False)
        assert code in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
