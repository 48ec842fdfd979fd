"""From the prediction log to profiles, with a real state and a real log."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows.conftest import version
from ports.test_record_counting import REFERENCE, SIGNATURE
from ports.written_log import NUMBERS, Log, answered, refused
from servewell.cli.app import run
from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.prediction_record import PredictionRecord
from servewell.core.catalog.series import SeriesPoint
from servewell.core.catalog.series_names import DISK_FREE
from servewell.core.catalog.signal import Severity, SignalKind
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_monitoring import MonitoringRules
from servewell.flows.make_model import keep_dataset, make_model
from servewell.flows.monitoring.drift import drift_of
from servewell.flows.monitoring.profiles import profiles_of, record_signals
from servewell.flows.monitoring.profiling import (
    FIRST_ROWS,
    PARTS_AT_ONCE,
    REFERENCE_FILE,
    LogReplacedError,
    ReferenceDamagedError,
    keep_profiles,
    reference_in,
)
from servewell.flows.monitoring.watch import gather, watch
from servewell.flows.platform import Platform
from servewell.wiring import open_platform

COUNT = """
import sys
from pathlib import Path
from servewell.flows.monitoring.profiling import keep_profiles
from servewell.wiring import open_platform
platform = open_platform(Path(sys.argv[1]))
print("ready", flush=True)
keep_profiles(platform)
print("done", flush=True)
"""


@pytest.fixture
def log(platform: Platform, tmp_path: Path) -> Log:
    """Serve one version, which was signed with a reference profile."""
    signed = replace(REFERENCE, package="", version="")
    files = {REFERENCE_FILE: platform.blobs.put(msgspec.json.encode(signed))}
    return serving(platform, tmp_path, files=files)


def serving(platform: Platform, tmp_path: Path, *, files: dict[str, str]) -> Log:
    """Serve a version whose package has these files."""
    known = version(1)
    manifest = replace(known.manifest, signature=SIGNATURE, files=files)
    made: ModelVersion = replace(known, package=NUMBERS.package, manifest=manifest)
    platform.registry.add(made)
    deployment = Deployment(
        name="champion",
        model="flights",
        version=1,
        package=NUMBERS.package,
        package_signature="",
        share_bp=BP_FULL,
    )
    change = Change(
        at=0.0,
        principal="somebody",
        kind=ChangeKind.ENDPOINT_CREATED,
        subject="flights",
        because="a test",
    )
    platform.endpoints.save(
        Endpoint(name="flights", workload="flights", deployments=(deployment,)), change
    )
    return Log(platform.records, tmp_path / "home" / "records")


def at(platform: Platform, number: int, **changes: Any) -> PredictionRecord:  # noqa: ANN401 - fields of any type
    """Return the record of a row that was answered just now."""
    now_ns = int(platform.clock.now() * 1e9)
    return answered(number, **({"time_ns": now_ns} | changes))


def lately(platform: Platform) -> dict[str, float]:
    """Return the bounds of the last two hours."""
    now = platform.clock.now()
    return {"since": now - 7_200, "until": now + 60}


def rows(platform: Platform) -> int:
    """Return how many rows are counted."""
    total = platform.profiles.total("flights", "champion", **lately(platform))
    return total.rows[""] if total else 0


def test_what_is_recorded_is_counted_once(platform: Platform, log: Log) -> None:
    """In the bins that were signed with the version; again and again, it stays the same."""
    for part in range(3):
        log.write(f"w{part}-1-1-00000000", [at(platform, part * 5 + n) for n in range(5)])
    log.compact()
    keep_profiles(platform)
    keep_profiles(platform)
    assert rows(platform) == 15
    reference = platform.profiles.reference(NUMBERS.package)
    assert reference == replace(REFERENCE, version="flights:1")
    log.write("w9-1-1-00000000", [at(platform, 99)])
    log.compact()
    keep_profiles(platform)
    assert rows(platform) == 16
    [found] = profiles_of(platform, "flights", **lately(platform))
    assert found.traffic is not None
    assert (found.traffic.requests, found.reference) == (16, reference)


def test_a_control_process_that_is_killed_counts_nothing_twice(
    platform: Platform, log: Log, tmp_path: Path
) -> None:
    """Killed wherever it is, again and again, and the next one fills in the rest."""
    parts = PARTS_AT_ONCE + 20
    for part in range(parts):
        log.write(f"w{part}-1-1-00000000", [at(platform, part * 3 + n) for n in range(3)])
    log.compact()
    filed = platform.record_counting.filed("", most=10 * parts, now=platform.clock.now()).parts
    for share in (0.2, 0.8):
        with subprocess.Popen(
            [sys.executable, "-c", COUNT, str(tmp_path / "home")], stdout=subprocess.PIPE
        ) as counting:
            assert counting.stdout is not None
            counting.stdout.readline()
            while len(platform.profile_parts.uncounted(filed)) > parts * (1 - share):
                with suppress(subprocess.TimeoutExpired):  # it is not to end by itself
                    counting.wait(timeout=0.01)
            counting.send_signal(signal.SIGKILL)
            assert counting.stdout.read() == b""
    assert platform.profile_parts.uncounted(filed)
    keep_profiles(platform)
    assert platform.profile_parts.uncounted(filed) == ()
    assert rows(platform) == 3 * parts
    keep_profiles(platform)
    assert rows(platform) == 3 * parts


def test_a_log_that_was_moved_is_told_once_and_counted_on(platform: Platform, log: Log) -> None:
    """Nothing counts twice, and what comes after counts."""
    log.write("w0-1-1-00000000", [at(platform, n) for n in range(5)])
    log.compact()
    journal = next((log.folder / "journal").iterdir())
    before = journal.read_bytes()
    log.write("w1-1-1-00000000", [at(platform, 5)])
    log.compact()
    keep_profiles(platform)
    journal.write_bytes(before)
    with pytest.raises(LogReplacedError, match="not the one that was counted"):
        keep_profiles(platform)
    log.write("w2-1-1-00000000", [at(platform, 6)])
    log.compact()
    keep_profiles(platform)
    assert rows(platform) == 7


def test_late_parts_add_to_old_windows(platform: Platform, log: Log) -> None:
    """A segment that comes a day late counts in its own minutes, and is told."""
    day_ago = int((platform.clock.now() - 86_400) * 1e9)
    log.write("w0-1-1-00000000", [at(platform, 0), at(platform, 1, time_ns=day_ago)])
    log.compact()
    keep_profiles(platform)
    log.write("w1-1-1-00000000", [at(platform, n, time_ns=day_ago) for n in range(2, 6)])
    log.compact()
    keep_profiles(platform)
    assert rows(platform) == 1
    then = {"since": day_ago / 1e9 - 60, "until": day_ago / 1e9 + 60}
    [found] = profiles_of(platform, "flights", **then)
    assert found.window is not None
    assert found.traffic is not None
    assert (found.window.rows[""], found.traffic.requests) == (5, 5)
    [late] = [one for one in record_signals(platform, now=platform.clock.now() + 60) if one.value]
    assert (late.subject, late.value, late.severity) == ("records late", 5.0, Severity.NOTE)
    now = int(platform.clock.now()) // 10 * 10
    looks = range(now - 4_000, now, 300)
    there = [SeriesPoint(name=DISK_FREE, start=at, seconds=10, value=0.5) for at in looks]
    platform.series.add(there, now=now)
    [late] = [one for one in record_signals(platform, now=now + 60) if one.value]
    assert (late.severity, late.command) == (Severity.TICKET, "timedatectl status")
    assert "a worker's clock is behind" in late.what


def test_a_version_without_rows_is_held_against_its_first_live_ones(
    platform: Platform, tmp_path: Path
) -> None:
    """They wait, count once there are enough of them, and the profile says where it is from."""
    platform.workloads.save(
        KnownWorkload(
            name="flights",
            folder="flights",
            digest="",
            workload=Workload(workload="flights", monitoring=MonitoringRules(slices=("carrier",))),
            at=0.0,
            principal="ada",
            scheduled_from=0.0,
        )
    )
    log = serving(platform, tmp_path, files={})
    many = 400
    values = [[0.5] * many, [1] * many, ["AA"] * many, [0.25, 1.5] * many, ["token"] * many]
    outputs = [[1] * many, [0.25, 0.75] * many]
    whole = {"rows": many, "inputs": values, "outputs": outputs}
    first = FIRST_ROWS // many - 5
    log.write("w0-1-1-00000000", [at(platform, n, **whole) for n in range(first)])
    log.compact()
    keep_profiles(platform)
    assert rows(platform) == 0
    assert platform.profiles.reference(NUMBERS.package) is None
    [found] = profiles_of(platform, "flights", **lately(platform))
    assert found.window is None
    assert found.traffic is not None
    assert found.traffic.requests == first
    log.write("w1-1-1-00000000", [at(platform, first + n, **whole) for n in range(10)])
    log.compact()
    keep_profiles(platform)
    assert rows(platform) == (first + 10) * many
    reference = platform.profiles.reference(NUMBERS.package)
    assert reference is not None
    assert reference.version == "flights:1"
    assert reference.source == f"the first {FIRST_ROWS:,} rows that callers were answered"
    assert reference.rows == {"": FIRST_ROWS, "carrier=AA": FIRST_ROWS}
    assert platform.profile_parts.waiting() == {}


def test_what_is_wrong_with_the_records_is_told(platform: Platform, log: Log) -> None:
    """A file that cannot be read, a clock that is ahead, and nothing where all is well."""
    log.write("w0-1-1-00000000", [at(platform, n) for n in range(4)])
    ahead = int((platform.clock.now() + 7_200) * 1e9)
    log.write("w1-1-1-00000000", [at(platform, 9), at(platform, 10, time_ns=ahead)])
    log.compact()
    next(log.folder.glob("parquet/**/w0-*.parquet")).write_bytes(b"nonsense")
    now = platform.clock.now()
    assert record_signals(platform, now=now + 60) == ()
    keep_profiles(platform)
    told = {one.subject: one for one in record_signals(platform, now=now + 60)}
    assert {name: one.value for name, one in told.items()} == {
        "records lost": 4.0,
        "records skewed": 1.0,
    }
    assert told["records lost"].severity is Severity.TICKET
    assert told["records lost"].endpoint == "flights"


def test_what_a_caller_sent_once_stands_nowhere_but_in_the_log(
    platform: Platform, log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address among the texts never seen is in no table and no signal; what some sent is."""
    planted = "ada@planted.example"
    carriers = ["AA"] * 20 + ["ZZ"] * 4 + [planted]
    records = [
        at(platform, n, inputs=[[0.5], [n], [name], [0.25, 1.5], ["token"]])
        for n, name in enumerate(carriers)
    ]
    log.write("w0-1-1-00000000", records)
    log.compact()
    keep_profiles(platform)
    watch(platform)
    assert "planted" not in repr(gather(platform, now=platform.clock.now() + 60))
    with closing(sqlite3.connect(tmp_path / "home" / "servewell.db")) as state:
        tables = state.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        kept = {name: repr(state.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in tables}  # noqa: S608 - a name out of the database
    assert [name for name, rows in kept.items() if "planted" in rows] == []
    assert [name for name, rows in kept.items() if "ZZ" in rows] == ["profile_window"]
    [found] = profiles_of(platform, "flights", **lately(platform))
    assert found.unseen == {"carrier": {"ZZ": 4}}
    assert run(open_platform, ["profiles", "flights", "--home", str(tmp_path / "home")]) == 0
    assert "carrier, never seen before, in the last hour: 'ZZ' 4 times" in capsys.readouterr().out


def test_profiles_are_shown(
    platform: Platform, log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each deployment with its requests and columns, in words and as JSON; or why not."""
    home = ("--home", str(tmp_path / "home"))
    asked = ["profiles", "flights", *home]
    assert run(open_platform, asked) == 4
    assert "SW-260" in capsys.readouterr().err
    bad = refused(7, time_ns=at(platform, 0).time_ns)
    log.write("w0-1-1-00000000", [*(at(platform, n) for n in range(5)), bad])
    log.compact()
    keep_profiles(platform)
    assert run(open_platform, [*asked, "--deployment", "other"]) == 4
    capsys.readouterr()
    until = ("--until", "2099-01-01")
    assert run(open_platform, [*asked, *until, "--since", "2020-01-01"]) == 0
    said = capsys.readouterr().out
    assert "flights / champion (flights:1)" in said
    assert "5 rows against rows" in said
    assert "5 requests · p50 0.0" in said
    assert "SW-301 1 times" in said
    assert "probabilities:score" in said
    whole = ["--json", *until, "--since", "2020-01-01"]
    assert run(open_platform, [*asked, *whole]) == 0
    none, champion = json.loads(capsys.readouterr().out)["deployments"]
    assert (none["deployment"], none["traffic"]["refused"]) == ("", 1)
    assert champion["rows"] == {"": 5, "carrier=AA": 5}
    assert champion["latency_ms"]["p50"] == pytest.approx(0.015)
    assert "token" not in json.dumps(champion)


TRAIN = """
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def train(data):
    rows = pd.read_parquet(data)
    words = ("words", OneHotEncoder(handle_unknown="ignore"), ["town", "name"])
    model = make_pipeline(
        ColumnTransformer([words], remainder="passthrough"), LogisticRegression()
    )
    return model.fit(rows[["x", "town", "name"]], rows["late"])
"""
FILE = """
workload: small
train:
  script: make.py
data:
  path: rows.csv
  label: late
inputs:
  name:
    personal: true
monitoring:
  slices: [town]
"""


def test_a_trained_version_carries_its_reference(platform: Platform, tmp_path: Path) -> None:
    """Signed with its package, with the slices that were declared, and no personal value in it."""
    folder = tmp_path / "small"
    folder.mkdir()
    lines = [f"{n % 7},{'AB'[n % 2]},planted-{n % 3},{n % 5 == 0:d}" for n in range(300)]
    (folder / "rows.csv").write_text("\n".join(["x,town,name,late", *lines]))
    (folder / "make.py").write_text(TRAIN)
    (folder / "servewell.yaml").write_text(FILE)
    workload, _ = platform.workload_files.read(folder)
    dataset = keep_dataset(platform, workload, folder)
    made = make_model(platform, workload, folder, dataset=dataset, progress=lambda _: None)
    found = reference_in(platform, made.version)
    assert found is not None
    assert (found.package, found.version) == (made.version.package, "small:1")
    assert found.source == f"30 held-out rows of {made.run.dataset}"
    assert found.rows == {"": 30, "town=A": 15, "town=B": 15}
    columns = {one.column for one in found.bins}
    assert columns == {"x", "town", "name", "label", "probabilities:score"}
    assert found.counts["town=A"]["probabilities:score"].rows == 15
    digest = made.version.manifest.files[REFERENCE_FILE]
    assert b"planted" not in platform.blobs.read(digest)


def test_a_damaged_reference_stops_no_counting(platform: Platform, tmp_path: Path) -> None:
    """It is told, other records count, and the rows of that version wait for live ones."""
    log = serving(platform, tmp_path, files={REFERENCE_FILE: platform.blobs.put(b"no profile")})
    log.write("w0-1-1-00000000", [at(platform, n) for n in range(5)])
    log.compact()
    with pytest.raises(ReferenceDamagedError, match="flights:1"):
        keep_profiles(platform)
    [traffic] = platform.profiles.traffic("flights", **lately(platform))
    assert traffic.requests == 5
    [(package, parts)] = platform.profile_parts.waiting().items()
    assert (package, [one.records for one in parts]) == (NUMBERS.package, [5])
    keep_profiles(platform)  # told once on the terminal of the control process, and as a signal
    now = platform.clock.now()
    [told] = record_signals(platform, now=now)
    assert (told.kind, told.severity) == (SignalKind.FEED, Severity.TICKET)
    assert (told.deployment, told.subject) == ("champion", "reference")
    [unknown] = drift_of(platform, "flights", now=now)
    assert "its reference profile cannot be read" in unknown.because
    platform.profiles.keep_reference(REFERENCE)
    assert record_signals(platform, now=now) == ()
