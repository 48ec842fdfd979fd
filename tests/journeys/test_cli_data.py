"""`servewell data` as a person sees it."""

import json
from pathlib import Path

import pytest

from servewell.cli.app import run
from servewell.wiring import open_platform

ROWS = "\n".join(["age,name", *(f"{20 + place % 50},person {place % 7}" for place in range(300))])


def servewell(home: Path, *arguments: object) -> int:
    """Run a command in this process."""
    return run(open_platform, [*map(str, arguments), "--home", str(home)])


def test_from_a_file_to_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows are added, drawn in the terminal and on a page, compared, and removed."""
    home, rows, page = tmp_path / "home", tmp_path / "rows.csv", tmp_path / "page.html"
    rows.write_text(ROWS)
    assert servewell(home, "data", "add", "people", rows, "--personal", "name", "--dry-run") == 0
    assert "would be added: 300 rows" in capsys.readouterr().out
    assert servewell(home, "data", "add", "people", rows, "--personal", "name") == 0
    said = capsys.readouterr().out
    assert "people:1 is new: 300 rows" in said
    assert "personal: no value is told" in said
    assert "person 3" not in said
    rows.write_text(ROWS + "\n99,person 1")
    assert servewell(home, "data", "add", "people", rows) == 0
    assert servewell(home, "data", "show", "people", "--html", page) == 0
    assert "person 1" not in page.read_text()
    assert "<svg" in page.read_text()
    assert servewell(home, "data", "compare", "people:1", "people:2", "--html", page) == 0
    assert "1 of 301 rows of people:2 are not in people:1." in capsys.readouterr().out
    assert servewell(home, "data", "remove", "people:1", "--because", "asked") == 0
    capsys.readouterr()
    assert servewell(home, "data", "list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["removed_because"] for one in found["versions"]] == ["asked", ""]
    assert found["policies"]["people"]["personal"] == ["name"]


def test_what_goes_wrong_comes_as_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each fault has its own code and a next step, and the exit code tells that it failed."""
    home, rows = tmp_path / "home", tmp_path / "rows.csv"
    rows.write_text(ROWS + "\n1,2,3")
    for arguments, code in (
        (("add", "people", rows), "SW-146"),
        (("add", "people", tmp_path / "nowhere.csv"), "SW-145"),
        (("add", "Not a name", rows), "SW-147"),
        (("show", "people"), "SW-222"),
        (("list", "?"), "SW-147"),
    ):
        assert servewell(home, "data", *arguments) > 1
        assert code in capsys.readouterr().err
    rows.write_text(ROWS)
    assert servewell(home, "data", "add", "people", rows) == 0
    assert servewell(home, "data", "show", "people", "--html", tmp_path / "no" / "page.html") > 1
    assert "SW-145" in capsys.readouterr().err
