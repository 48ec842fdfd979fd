"""`servewell predict`, as a person uses it, against workers that run."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from journeys.house import House, free_port, stop_everything, write_ready_made
from servewell.cli.app import run
from servewell.wiring import open_platform

pytestmark = pytest.mark.enable_socket

ROW = '{"x": 1.0, "y": 2.5, "colour": "red"}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return a house that serves; the tests of this file share it and do not change it."""
    folder = tmp_path_factory.mktemp("house")
    house = House(home=folder / "home", folder=folder / "small", port=free_port())
    write_ready_made(house.folder, port=house.port)
    house.up()
    yield house
    stop_everything(house.home)


def call(house: House, *words: str) -> int:
    """Run `servewell predict small` in this process; return its exit code."""
    return run(open_platform, ["predict", "small", *words, "--home", str(house.home)])


def test_one_row_is_answered_in_words(served: House, capsys: pytest.CaptureFixture[str]) -> None:
    """Outputs, the prediction's id, who answered and how long it took."""
    assert call(served, "--row", ROW) == 0
    told = capsys.readouterr().out
    assert "probabilities  0.377541  0.622459" in told
    assert "`v1` (version 1)" in told
    assert call(served, "--row", ROW, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["outputs"]["label"] == [1]
    assert len(answer["prediction_id"]) == 32


def test_several_rows_are_answered_as_lines(
    served: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object a row, in order; what is left out is said beside, on stderr."""
    assert call(served, "--row", ROW, "--row", '{"x": 9, "y": 9, "colour": "", "no": 1}') == 0
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [line["row"] for line in lines] == [1, 2]
    assert lines[1]["probabilities"][1] > 0.99
    assert "left out: no" in told.err


def test_a_csv_file_is_converted(
    served: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts become the types of the inputs, also from a file that a spreadsheet wrote."""
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfx,y,colour\r\n1,2.5,red\r\n")
    assert call(served, "--input", str(tmp_path / "rows.csv")) == 0
    assert "probabilities  0.377541  0.622459" in capsys.readouterr().out


def test_a_missing_value_that_may_not_be_is_refused_by_row(
    served: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty cell is a missing value; whether it may be is the endpoint's to say."""
    (tmp_path / "rows.csv").write_text("x,y,colour\n1,2.5,red\n4,5,\n")
    assert call(served, "--input", str(tmp_path / "rows.csv")) == 5
    assert "row 2, `colour`: found" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_file_becomes_a_file(
    served: House, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    """Every row of a file has its answer in the other, in its order."""
    rows = 1_001
    table = pa.table(
        {"x": [n / 100 for n in range(rows)], "y": [0.0] * rows, "colour": ["red"] * rows}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    output = tmp_path / f"answers{ending}"
    words = ("--input", str(tmp_path / "rows.parquet"), "--output", str(output), "--batch", "300")
    assert call(served, *words, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["rows"], done["requests"]) == (rows, 4)
    read = [row for part in open_platform().tables.read(output, batch=100) for row in part]
    assert [int(str(row["row"])) for row in read] == list(range(1, rows + 1))
    assert [int(str(row["label"])) for row in read] == [int(n > 300) for n in range(rows)]


def test_a_refused_file_leaves_nothing(
    served: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows are named as in the file, and the file of answers is not there."""
    rows = [{"x": 1.0, "y": 2.0, "colour": "red"} for _ in range(7)]
    rows[5]["x"] = 1_000.0
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows))
    output = tmp_path / "answers.csv"
    assert call(served, "--input", str(source), "--output", str(output), "--batch", "2") == 5
    told = capsys.readouterr().err
    assert "is not written" in told
    assert "row 6, `x`" in told
    assert [one.name for one in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_request_that_is_too_large_says_what_to_do(
    served: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer is read although the endpoint stops reading; smaller batches go through."""
    row = json.dumps({"x": 1, "y": 2, "colour": "r" * 50_000})
    (tmp_path / "rows.jsonl").write_text(f"{row}\n" * 100)
    words = ("--input", str(tmp_path / "rows.jsonl"))
    assert call(served, *words) == 5
    told = capsys.readouterr().err
    assert "413" in told
    assert "`--batch`" in told
    assert call(served, *words, "--batch", "10") == 0
    assert len(capsys.readouterr().out.splitlines()) == 100


def test_rows_come_through_a_pipe(served: House) -> None:
    """JSON lines from stdin, answered on stdout, without a bar where nobody watches."""
    done = subprocess.run(
        served.command("predict", "small", "--input", "-"),
        input=f"{ROW}\n{ROW}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


def test_a_reader_that_leaves_ends_it_quietly(served: House) -> None:
    """`servewell predict … | head` ends without a traceback."""
    words = " ".join(served.command("predict", "small", "--input", "-", "--batch", "1"))
    pipe = f"yes '{ROW}' | {words} | head -n 1"
    done = subprocess.run(
        ["sh", "-c", pipe], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["row"] == 1
    assert "Traceback" not in done.stderr


def test_the_key_is_the_callers(
    served: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SERVEWELL_KEY comes before the operator's key, and is in no message."""
    made = served.json("keys", "create", "site", "--endpoint", "small")
    monkeypatch.setenv("SERVEWELL_KEY", made["key"])
    assert call(served, "--row", ROW, "--url", f"https://127.0.0.1:{served.port}") == 0
    served.run("keys", "revoke", made["id"])
    assert call(served, "--row", ROW) == 5
    told = capsys.readouterr().err
    assert "401" in told
    assert made["key"] not in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        pytest.param(["--row", "{"], 2, "not a JSON object", id="row"),
        pytest.param(["--row", ROW, "--input", "x.csv"], 2, "not both", id="both"),
        pytest.param(["--input", "missing.csv"], 3, "SW-120", id="file"),
        pytest.param(["--row", ROW, "--output", "x.xls"], 3, "SW-120", id="output"),
        pytest.param(["--row", ROW, "--url", "https://127.0.0.1"], 3, "SW-123", id="key"),
        pytest.param(["--row", ROW, "--deployment", "v9"], 5, "SW-330", id="deployment"),
        pytest.param(["--row", '{"x": "much"}'], 3, "SW-121", id="value"),
        pytest.param(["--row", '{"x": 1}'], 5, "SW-330", id="missing"),
    ],
)
def test_what_is_wrong_is_said(
    served: House,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    told: str,
) -> None:
    """Each fault has its exit code and its page, and is never a traceback."""
    assert call(served, *words) == code
    assert told in capsys.readouterr().err


def test_nothing_that_serves_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key, and then without a server, the next step is named."""
    house = House(home=tmp_path / "home", folder=tmp_path, port=0)
    assert call(house, "--row", ROW) == 3
    assert "SERVEWELL_KEY" in capsys.readouterr().err


def test_predictions_go_on_without_the_database(
    ready_house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the key nor the request asks the state."""
    ready_house.up()
    database = ready_house.home / "servewell.db"
    database.rename(database.with_suffix(".gone"))
    database.write_text("this is no database")
    assert call(ready_house, "--row", ROW) == 0
    assert "`v1`" in capsys.readouterr().out
