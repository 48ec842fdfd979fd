"""Nothing that a person may type or read is undocumented, and no page is stale."""

import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import click
import pytest

from servewell.core.catalog.workload_schema import workload_keys, workload_schema
from servewell.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "servewell"
REFERENCE = ROOT / "docs" / "reference"
ERRORS = ROOT / "docs" / "errors"


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    """The reference pages, by name."""
    return {page.stem: page.read_text() for page in REFERENCE.glob("*.md")}


@pytest.mark.parametrize(
    "name", ["servewell.schema.json", "workload.md", "settings.md", "errors.md", "cli.md"]
)
def test_a_generated_page_is_what_the_code_says(generator: ModuleType, name: str) -> None:
    """`python docs/generate.py` was run after the last change."""
    assert generator.pages()[REFERENCE / name] == (REFERENCE / name).read_text()


def test_check_names_what_is_stale(
    generator: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that CI may run agrees with the test above."""
    assert generator.main(["--check"]) == 0, capsys.readouterr().err


def test_every_key_is_documented(reference: dict[str, str]) -> None:
    """Each key of the workload file stands in the section of its parent."""
    sections = dict(_sections(reference["workload"]))
    for key in workload_keys(workload_schema()):
        parent = ".".join(key.path[:-1])
        assert f"| `{key.path[-1]}` |" in sections[f"`{parent}`" if parent else "At the top"]


def test_every_setting_is_documented(reference: dict[str, str]) -> None:
    """Each variable that the code reads stands in the settings."""
    for field in fields(Settings):
        assert f"| `{field.metadata['variable']}` |" in reference["settings"]
    text = "".join(file.read_text() for file in SOURCE.rglob("*.py"))
    for variable in set(re.findall(r"\bSERVEWELL_[A-Z_]+\b", text)):
        assert variable in reference["settings"]


def test_every_command_is_documented(generator: ModuleType, reference: dict[str, str]) -> None:
    """Each command and each option of its own has its words."""
    sections = dict(_sections(reference["cli"]))
    for path, command in generator.commands():
        section = sections[f"`servewell {' '.join(path)}`"]
        assert command.help, path
        for option in command.params:
            if isinstance(option, click.Option) and option.name not in generator.EVERY_COMMAND:
                assert option.help, (path, option.name)
                assert all(re.search(rf"[` ]{name}\b", section) for name in option.opts)


def test_every_changing_command_can_be_tried_dry(generator: ModuleType) -> None:
    """What changes something takes `--dry-run`; what only looks takes none."""
    looks = {"status", "predict", "profile", "list", "show", "history", "records", "logs", "doctor"}
    looks |= {"replay", "silences", "dead-letters", "health", "objectives"}
    looks |= {"drift", "triage", "profiles", "quality"}
    looks |= {"summary", "export"}
    looks |= {"rules", "scrape", "dashboard", "runbook"}
    looks |= {"compare", "diff", "watch", "query", "trace", "explain"}
    for path, command in generator.commands():
        names = {name for option in command.params for name in option.opts}
        if path[-1] not in looks | {"completion"}:
            assert "--dry-run" in names, path
        if path[-1] != "completion":
            assert {"--json", "--home"} <= names, path


def test_every_error_has_its_page(generator: ModuleType) -> None:
    """Each code has a page: what happened, why, what to do; and no page is left over."""
    codes = set(generator.errors())
    assert {page.stem for page in ERRORS.glob("*.md")} == codes
    for code in codes:
        page = (ERRORS / f"{code}.md").read_text()
        assert page.startswith(f"# {code}: "), code
        heads = [head for head, text in _sections(page) if text.strip()]
        assert heads == ["What happened", "Why", "What to do"], code


def test_every_metric_is_documented(reference: dict[str, str]) -> None:
    """Each metric that a worker shows stands in the reference of metrics."""
    text = "".join(file.read_text() for file in (SOURCE / "serving").rglob("*.py"))
    names = re.findall(r"\bservewell_[a-z_]+\b", text)
    metrics = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    assert metrics
    for metric in metrics:
        assert metric in reference["metrics"], metric


def test_the_vocabulary_stays_small() -> None:
    """One word per idea, and at most forty ideas."""
    page = (ROOT / "docs" / "concepts" / "vocabulary.md").read_text()
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", page, re.MULTILINE)
    assert 10 <= len(words) <= 40
    assert len(set(words)) == len(words)


def _sections(text: str) -> list[tuple[str, str]]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))
