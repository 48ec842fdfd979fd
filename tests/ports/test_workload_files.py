"""The contract of `WorkloadFiles`: the same tests for every adapter."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.adapters.embedded.workload_files import FILE_BYTES_MAX, YamlWorkloadFiles
from servewell.core.catalog.workload import HeldOut, Workload
from servewell.core.catalog.workload_schema import workload_keys, workload_schema
from servewell.ports.workload_files import Fault, WorkloadFaultsError, WorkloadFiles

GOOD = """\
# yaml-language-server: $schema=servewell.schema.json
workload: flight-delays
data:
  path: flights.parquet
  label: late
  held_out:
    column: scheduled
    start: 2013-03-01
    until: 2013-04-01
train:
  script: train.py
  function: train
  parameters:
    trees: 80
  timeout_s: 600
model:
  tolerance: 1e-5
inputs:
  origin:
    allowed: [EWR, JFK]
  wind:
    minimum: 0
    maximum: 200
    personal: false
endpoint:
  rows_max: 100
serving:
  port: 8081
  workers: 2
records:
  when_full: serve
"""


@pytest.fixture(params=[pytest.param(YamlWorkloadFiles, id="embedded")], scope="module")
def files(request: pytest.FixtureRequest) -> WorkloadFiles:
    """Each adapter in turn."""
    make: Callable[[], WorkloadFiles] = request.param
    return make()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that `GOOD` names, but no workload file."""
    made = tmp_path_factory.mktemp("workload")
    (made / "flights.parquet").touch()
    (made / "train.py").touch()
    (made / "model.onnx").touch()
    return made


def faults_of(
    files: WorkloadFiles, folder: Path, text: str | bytes, *overrides: str
) -> tuple[Fault, ...]:
    """Return the faults of a file with this text; none where it is good."""
    file = folder / "servewell.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        files.read(file, overrides)
    except WorkloadFaultsError as error:
        return error.faults or pytest.fail("an error without a fault")
    return ()


def only(faults: tuple[Fault, ...]) -> Fault:
    """Return the one fault."""
    assert len(faults) == 1, faults
    return faults[0]


def test_reads_a_good_file_by_its_path_or_its_folder(files: WorkloadFiles, folder: Path) -> None:
    """What stands in the file is in the workload; the rest has its default."""
    assert faults_of(files, folder, GOOD) == ()
    workload, found = files.read(folder)
    assert (workload, found) == files.read(folder / "servewell.yaml")
    assert found == folder
    assert isinstance(workload, Workload)
    assert workload.data is not None
    assert workload.data.held_out == HeldOut(
        column="scheduled", start="2013-03-01", until="2013-04-01"
    )
    assert workload.train is not None
    assert workload.train.parameters == {"trees": 80}
    assert workload.inputs["origin"].allowed == ("EWR", "JFK")
    assert (workload.serving.port, workload.serving.drain_s) == (8081, 10.0)
    assert workload.model.tolerance == pytest.approx(1e-5)


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A line that is made faulty, and what must be said of it."""

    line: str  # as it stands in GOOD
    faulty: str
    key: str
    column: int
    hint: str = ""


PLANTS = (
    Plant(line="workload: flight-delays", faulty="workload: Flight", key="workload", column=11),
    Plant(
        line="  path: flights.parquet",
        faulty="  path: flight.parquet",
        key="data.path",
        column=9,
        hint="flights.parquet",
    ),
    Plant(line="  label: late", faulty="  lable: late", key="data.lable", column=3, hint="label"),
    Plant(
        line="    until: 2013-04-01",
        faulty="    until: 2013-02-01",
        key="data.held_out.until",
        column=12,
    ),
    Plant(line="  function: train", faulty="  function: 5", key="train.function", column=13),
    Plant(
        line="    trees: 80",
        faulty="    trees: {a: 1}",
        key="train.parameters.trees",
        column=12,
    ),
    Plant(
        line="  timeout_s: 600",
        faulty="  timeout_s: 10_000",
        key="train.timeout_s",
        column=14,
        hint="10000",
    ),
    Plant(line="  tolerance: 1e-5", faulty="  tolerance: .nan", key="model.tolerance", column=14),
    Plant(
        line="    allowed: [EWR, JFK]",
        faulty="    allowed: [EWR, EWR]",
        key="inputs.origin.allowed[1]",
        column=20,
    ),
    Plant(line="    maximum: 200", faulty="    maximum: -1", key="inputs.wind.maximum", column=14),
    Plant(
        line="    personal: false",
        faulty="    personal: no",
        key="inputs.wind.personal",
        column=15,
        hint="false",
    ),
    Plant(
        line="  rows_max: 100",
        faulty="  workers: 3",
        key="endpoint.workers",
        column=3,
        hint="`workers` belongs under `serving`",
    ),
    Plant(line="  port: 8081", faulty="  port: 0", key="serving.port", column=9),
    Plant(line="  workers: 2", faulty="  workers: *two", key="serving.workers", column=12),
    Plant(
        line="  when_full: serve",
        faulty="  when_full: refused",
        key="records.when_full",
        column=14,
        hint="`refuse`",
    ),
)


@given(planted=st.lists(st.sampled_from(PLANTS), min_size=1, unique_by=lambda one: one.line))
def test_every_planted_fault_is_named_at_its_place(
    files: WorkloadFiles, folder: Path, planted: list[Plant]
) -> None:
    """However many faults there are, each is reported at its line and column, and no other is."""
    lines = GOOD.splitlines()
    expected = set()
    for plant in planted:
        number = GOOD.splitlines().index(plant.line)
        lines[number] = plant.faulty
        expected.add((number + 1, plant.column, plant.key))
    faults = faults_of(files, folder, "\n".join(lines))
    assert {(one.line, one.column, one.key) for one in faults} == expected
    assert [one.line for one in faults] == sorted(one.line for one in faults)
    hints = {one.key: one.hint for one in faults}
    assert all(plant.hint in hints[plant.key] for plant in planted)


FRAGMENTS = st.sampled_from(
    [
        *(f"{key.path[-1]}:" for key in workload_keys(workload_schema())),
        *"-?:,[]{}#&*!|>'\"%@` \t\n\r\0\x85\u2028\ufeff~=.<",
        *("\n  ", "\n    ", ": ", "- ", "---\n", "...\n", "&a ", "*a", "!!binary ", "%YAML 1.1\n"),
        *("workload: a\n", "true", "no", "1e999", ".inf", "-0x1f", "9" * 5_000, "2013-01-01"),
        *('"\\UFFFFFFFF"', '"\\ud800"', '"\\0"', "<<: ", "..", "/", "train.py", "serving.port: 1"),
    ]
)


@given(
    text=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(FRAGMENTS, max_size=30).map(lambda parts: "".join(parts).encode()),
    )
)
def test_any_file_gives_a_workload_or_faults(
    files: WorkloadFiles, folder: Path, text: bytes
) -> None:
    """Whatever lies in the file, nothing but WorkloadFaultsError is raised, with real places."""
    for fault in faults_of(files, folder, text):
        assert fault.line >= 1
        assert fault.column >= 1
        assert fault.found.isprintable()


KEYS = tuple(key.path for key in workload_keys(workload_schema()))
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["train.py", "flights.parquet", "model.onnx", "a", "onnx", "serve"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([path[-1] for path in KEYS]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(VALUES, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_values_give_a_workload_or_faults(
    files: WorkloadFiles, folder: Path, top: object, below: dict[tuple[str, ...], object]
) -> None:
    """Known keys with values of any type never lead to another error."""
    data: dict[str, object] = {"workload": "a", "artifact": {"path": "model.onnx"}, "inputs": top}
    for (*parents, name), value in below.items():
        here = data
        for step in parents:
            inner = here.get(step)
            here[step] = inner = inner if isinstance(inner, dict) else {}
            here = inner
        here[name] = value
    text = json.dumps(data).encode("utf-8", "surrogatepass")
    faults_of(files, folder, text)


@given(st.one_of(st.text(max_size=60), st.lists(FRAGMENTS, max_size=10).map("".join)))
def test_any_override_gives_a_workload_or_faults(
    files: WorkloadFiles, folder: Path, override: str
) -> None:
    """Whatever is typed behind `--set`, nothing but WorkloadFaultsError is raised."""
    for fault in faults_of(files, folder, GOOD, override):
        assert fault.override in ("", override)


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        pytest.param("", (1, 1), "an empty file", id="empty"),
        pytest.param("# nothing\n", (1, 1), "an empty file", id="only-a-comment"),
        pytest.param("- workload: a\n", (1, 1), "a list", id="list"),
        pytest.param("workload: a\ndata:\n\tpath: x\n", (3, 1), "a tab", id="tab"),
        pytest.param("workload: [a\n", (2, 1), "starts on line 1", id="unclosed"),
        pytest.param(b"workload: a\n# caf\xe9\n", (2, 6), "0xe9", id="latin-1"),
        pytest.param("workload: a\x07\n", (1, 12), "U+0007", id="control-character"),
        pytest.param('workload: "\\UFFFFFFFF"\n', (1, 14), "escape", id="escape"),
        pytest.param(b" " * (FILE_BYTES_MAX + 1), (1, 1), "a larger file", id="too-large"),
        pytest.param("[" * 100, (1, 18), "more than a workload needs", id="too-deep"),
    ],
)
def test_a_file_that_is_no_workload_is_one_fault(
    files: WorkloadFiles, folder: Path, text: str | bytes, place: tuple[int, int], found: str
) -> None:
    """What cannot be read at all is said once, where it is."""
    fault = only(faults_of(files, folder, text))
    assert (fault.line, fault.column) == place
    assert found in fault.found


@pytest.mark.parametrize(
    ("change", "column", "found"),
    [
        pytest.param(("serving:", "serving: &all"), 10, "an anchor", id="anchor"),
        pytest.param(("serving:", "serving: !!map"), 10, "a tag", id="tag"),
        pytest.param(("  port: 8081", "  port: !!int 8081"), 9, "a tag", id="tag-of-a-number"),
        pytest.param(("  workers: 2", "  port: 8082"), 3, "the key again", id="repeated"),
        pytest.param(
            ("  workers: 2", "  ? [a]\n  : 2"), 5, "a key that is no plain", id="list-key"
        ),
        pytest.param(("  workers: 2", '  "\\0": 2'), 3, "a key that is no plain", id="nul-key"),
        pytest.param(("  workers: 2", "  workers:"), 11, "nothing", id="no-value"),
        pytest.param(("  workers: 2", "  workers: " + "9" * 5_000), 12, "`999", id="huge-number"),
        pytest.param(("  workers: 2", "  workers: 2.0"), 12, "`2.0`", id="real-for-whole"),
        pytest.param(("  workers: 2", "  workers: true"), 12, "`true`", id="truth-for-number"),
        pytest.param(("  script: train.py", "  script: /train.py"), 11, "absolute", id="absolute"),
        pytest.param(("  script: train.py", "  script: ../x.py"), 11, "not there", id="missing"),
        pytest.param(("  script: train.py", "  script: .."), 11, "outside", id="outside"),
        pytest.param(("  script: train.py", "  script: ."), 11, "a folder", id="folder"),
        pytest.param(("  script: train.py", '  script: "a\\0"'), 11, "a character", id="nul"),
        pytest.param(("  script: train.py", f"  script: {'a' * 300}"), 11, "read", id="long-name"),
        pytest.param(("  label: late", "  label: origin"), 3, "a rule on the label", id="label"),
    ],
)
def test_a_faulty_line_is_one_fault(
    files: WorkloadFiles, folder: Path, change: tuple[str, str], column: int, found: str
) -> None:
    """Each kind of fault is said once, at its column, however the rest stands."""
    fault = only(faults_of(files, folder, GOOD.replace(*change)))
    assert fault.column == column
    assert found in fault.found


def test_no_is_text_and_a_date_is_text(files: WorkloadFiles, folder: Path) -> None:
    """Scalars mean what YAML 1.2 says: no country is a boolean, no date an object."""
    text = GOOD.replace("[EWR, JFK]", "[no, on, 2013-03-01, 12:30, 0x1f]")
    assert faults_of(files, folder, text) == ()
    workload, _ = files.read(folder)
    assert workload.inputs["origin"].allowed == ("no", "on", "2013-03-01", "12:30", "0x1f")


def test_needs_train_or_artifact_but_not_both(files: WorkloadFiles, folder: Path) -> None:
    """A model is made here or brought; neither and both are faults."""
    neither = only(faults_of(files, folder, "workload: a\n"))
    assert (neither.key, neither.allowed) == ("train", "one of `train`, `artifact` and `predictor`")
    both = only(faults_of(files, folder, GOOD + "artifact: {path: model.onnx}\n"))
    assert (both.key, both.line, both.column) == ("artifact", 32, 1)
    brought = "workload: a\nartifact: {path: model.onnx}\n"
    assert faults_of(files, folder, brought) == ()


def test_training_needs_data(files: WorkloadFiles, folder: Path) -> None:
    """A script without rows is a fault."""
    text = "workload: a\ntrain: {script: train.py}\n"
    assert only(faults_of(files, folder, text)).key == "data"


def test_one_typo_of_a_key_is_one_fault(files: WorkloadFiles, folder: Path) -> None:
    """That the right key is missing is not said beside the wrong one."""
    fault = only(faults_of(files, folder, GOOD.replace("train:\n", "trian:\n")))
    assert (fault.key, fault.hint) == ("trian", "did you mean `train`?")
    dotted = only(faults_of(files, folder, GOOD + "serving.port: 1\n"))
    assert dotted.hint == "write `port:` on a line of its own below `serving:`"


def test_a_link_out_of_the_folder_is_refused(files: WorkloadFiles, tmp_path: Path) -> None:
    """What is served comes from the folder, not from wherever a link points."""
    (tmp_path / "outside.onnx").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "model.onnx").symlink_to("../outside.onnx")
    (inside / "loop.onnx").symlink_to("loop.onnx")
    for name, found in (("model.onnx", "outside the folder"), ("loop.onnx", "cannot be read")):
        text = f"workload: a\nartifact: {{path: {name}}}\n"
        assert found in only(faults_of(files, inside, text)).found


def test_a_folder_is_a_model_only_where_mlflow_says_so(
    files: WorkloadFiles, tmp_path: Path
) -> None:
    """`format: mlflow` takes a folder with an `MLmodel`, every other format a file."""
    (tmp_path / "model").mkdir()
    mlflow = "workload: a\nartifact: {path: model, format: mlflow}\n"
    assert "MLmodel" in only(faults_of(files, tmp_path, mlflow)).found
    (tmp_path / "model" / "MLmodel").touch()
    assert faults_of(files, tmp_path, mlflow) == ()
    fault = only(faults_of(files, tmp_path, mlflow.replace(", format: mlflow", "")))
    assert "mlflow" in fault.hint


def test_a_missing_file_says_what_lies_there(files: WorkloadFiles, tmp_path: Path) -> None:
    """A file with nearly the right name is named."""
    (tmp_path / "servewell.yml").touch()
    with pytest.raises(WorkloadFaultsError) as caught:
        files.read(tmp_path)
    fault = only(caught.value.faults)
    assert fault.found == "no such file"
    assert "`servewell.yml`" in fault.hint
    with pytest.raises(WorkloadFaultsError):
        files.read(tmp_path / "nowhere" / "servewell.yaml")


def test_a_path_that_no_disk_can_hold_is_a_fault(files: WorkloadFiles, tmp_path: Path) -> None:
    """What the system says of the path is a fault of the file, not a traceback."""
    with pytest.raises(WorkloadFaultsError) as caught:
        files.read(tmp_path / ("a" * 300))
    assert "cannot be read" in only(caught.value.faults).found


def test_what_is_no_file_is_never_opened(files: WorkloadFiles, tmp_path: Path) -> None:
    """A pipe in the place of the file does not make the reader wait."""
    os.mkfifo(tmp_path / "servewell.yaml")
    with pytest.raises(WorkloadFaultsError, match="no such file"):
        files.read(tmp_path)


def test_an_override_stands_in_the_place_of_the_file(files: WorkloadFiles, folder: Path) -> None:
    """An override is read as YAML, makes what is not there, and hides the fault it replaces."""
    text = GOOD.replace("port: 8081", "port: !!int x").replace("origin:", "origin.iata:")
    file = folder / "servewell.yaml"
    file.write_text(text)
    overrides = (
        "serving.port=9000",
        "records.retention_days=7",
        "inputs.origin.iata.allowed=[LGA]",
        "train.parameters.rate=0.5",
    )
    workload, _ = files.read(file, overrides)
    assert workload.serving.port == 9000
    assert workload.records.retention_days == 7
    assert workload.inputs["origin.iata"].allowed == ("LGA",)
    assert workload.train is not None
    assert workload.train.parameters == {"trees": 80, "rate": 0.5}


def test_an_override_below_what_holds_no_keys_leaves_the_fault_of_the_file(
    files: WorkloadFiles, folder: Path
) -> None:
    """The file is said to be wrong where it is; the override cannot mend that."""
    text = "workload: a\nartifact: {path: model.onnx}\nserving: 5\n"
    for override in ("serving.port=9000", "serving.port.deep=1"):
        assert only(faults_of(files, folder, text, override)).key == "serving"


@pytest.mark.parametrize(
    ("override", "key", "column"),
    [
        pytest.param("serving.port=90000", "serving.port", 14, id="value"),
        pytest.param("serving.prt=1", "serving.prt", 1, id="key"),
        pytest.param("endpoint={rows_max: 0}", "endpoint.rows_max", 21, id="below"),
        pytest.param("serving.port=[1", "serving.port", 16, id="syntax"),
        pytest.param("serving.port=*a", "serving.port", 14, id="alias"),
        pytest.param("serving.port", "", 1, id="no-value"),
        pytest.param("=3", "", 1, id="no-key"),
        pytest.param("serving..port=3", "", 1, id="empty-step"),
    ],
)
def test_a_faulty_override_is_named(
    files: WorkloadFiles, folder: Path, override: str, key: str, column: int
) -> None:
    """A fault of an override says which one, and where in it."""
    fault = only(faults_of(files, folder, GOOD, override))
    assert (fault.override, fault.key, fault.line, fault.column) == (override, key, 1, column)


def test_the_text_of_the_error_lists_every_fault(files: WorkloadFiles, folder: Path) -> None:
    """Who reads only the message sees file, line, column, key, found, allowed and hint."""
    file = folder / "servewell.yaml"
    file.write_text(GOOD.replace("label: late", "lable: late").replace("port: 8081", "port: 0"))
    with pytest.raises(WorkloadFaultsError) as caught:
        files.read(file, ("serving.workers=0",))
    assert str(caught.value) == (
        f"The workload `{file}` has 3 faults.\n"
        "  because: this was found, and that is allowed:\n"
        f"    {file}:5:3 data.lable: found a key that is not known here; "
        "allowed: `path`, `dataset`, `step`, `label`, `held_out`, `contract`; "
        "did you mean `label`?\n"
        f"    {file}:28:9 serving.port: found `0`; allowed: a whole number from 1 to 65,535\n"
        "    --set serving.workers=0:1:17 serving.workers: found `0`; "
        "allowed: a whole number from 1 to 64\n"
        "  next:    mend what is named, then run the same command again\n"
        "  code:    SW-101"
    )
