"""What the pages show is true: links lead somewhere, examples hold, commands parse."""

import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from servewell.adapters.embedded.workload_files import YamlWorkloadFiles
from servewell.adapters.embedded.yaml_tree import read_tree
from servewell.cli.app import app
from servewell.cli.context import Session
from servewell.core.catalog.workload_rules import breaches
from servewell.wiring import open_platform

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "servewell"
RUNBOOK = re.compile(r"runbook=\"([a-z-]+)\"|RUNBOOK: Final = \"([a-z-]+)\"")
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
PART = "yaml servewell part"
REST: dict[str, object] = {"workload": "churn", "artifact": {"path": "model.onnx"}}
EXAMPLES = sorted((ROOT / "examples").glob("*/servewell.yaml"))
SHELL_ENDS = ("|", ">", ">>", "<", "&&", "&", ";")
INLINE = re.compile(r"`(servewell [^`]+)`")
SPOKEN = re.compile(r"\"(servewell [^\"]+)\"")  # a command that a signal names, in the source
TELLING = ("core/operations/monitoring", "core/reliability", "flows/monitoring")


def test_every_internal_link_leads_somewhere(markdown: Path) -> None:
    """A link to a file names one that is there, and its anchor a heading of it."""
    for found in LINK.finditer(FENCE.sub("", markdown.read_text())):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        page = (markdown.parent / target).resolve() if target else markdown
        assert page.exists(), f"{markdown.name}: {found[0]}"
        if anchor:
            assert anchor in _anchors(page), f"{markdown.name}: {found[0]}"


def test_every_workload_that_is_shown_is_good(markdown: Path) -> None:
    """A block marked `yaml servewell` can be copied: it breaks no rule.

    One marked `yaml servewell part` breaks none once it stands in a workload with a model.
    """
    for language, text in _blocks(markdown):
        if language in ("yaml servewell", PART):
            tree = read_tree(text)
            assert tree.faults == [], text
            assert isinstance(tree.data, dict)
            rest = REST if language == PART else {}
            assert breaches({**rest, **tree.data}) == (), text


def test_every_command_that_is_shown_parses(markdown: Path) -> None:
    """Commands in `sh` and `console` blocks name commands and options that exist."""
    for language, text in _blocks(markdown):
        if language in ("sh", "console"):
            for words in _commands(text, prompt="$ " if language == "console" else ""):
                _parse(words)


@pytest.mark.parametrize("page", sorted(DOCS.glob("runbooks/*.md")), ids=lambda one: one.stem)
def test_every_command_of_a_runbook_parses(page: Path) -> None:
    """It is run at night: it exists, with the options that it has and all that it needs."""
    for found in INLINE.finditer(FENCE.sub("", page.read_text())):
        _parse(shlex.split(found[1])[1:], bare=True)


def test_every_command_of_a_signal_parses() -> None:
    """What an alert names as the next step can be run as it stands there."""
    sources = [one for place in TELLING for one in (SOURCE / place).glob("*.py")]
    told = {found[1] for one in sources for found in SPOKEN.finditer(one.read_text())}
    assert len(told) > 10
    for line in sorted(told):
        _parse(shlex.split(re.sub(r"\{[^}]*\}", "1", line))[1:])


def test_every_runbook_of_a_signal_is_there() -> None:
    """And can be printed by the name that the alert says."""
    sources = [one for place in TELLING for one in (SOURCE / place).glob("*.py")]
    named = {found[1] or found[2] for one in sources for found in RUNBOOK.finditer(one.read_text())}
    assert len(named) > 10
    session = Session(open_platform=open_platform)
    for name in sorted(named):
        ran = CliRunner().invoke(app, ["alerts", "runbook", name], obj=session)
        assert ran.output == (DOCS / "runbooks" / f"{name}.md").read_text()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.parent.name)
def test_every_example_is_good(example: Path) -> None:
    """The workloads of the repository have no fault, and editors find their schema."""
    YamlWorkloadFiles().read(example)
    head = example.read_text().partition("\n")[0]
    schema = head.removeprefix("# yaml-language-server: $schema=")
    assert (example.parent / schema).resolve() == DOCS / "reference" / "servewell.schema.json"


def test_every_page_can_be_found() -> None:
    """Every page stands in a table of contents, by its name or by a pattern."""
    listed: set[Path] = set()
    for page in DOCS.rglob("*.md"):
        for language, text in _blocks(page):
            if language == "{toctree}":
                for line in text.splitlines():
                    if line and not line.startswith(":"):
                        listed |= set(page.parent.glob(f"{line.removesuffix('.md')}.md"))
    assert set(DOCS.rglob("*.md")) - listed == {DOCS / "index.md"}


def test_no_page_says_when_it_was_made(generator: ModuleType) -> None:
    """The generated pages are the same whenever and wherever they are made."""
    for text in generator.pages().values():
        assert str(Path.home()) not in text
        assert str(ROOT) not in text


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def _blocks(page: Path) -> list[tuple[str, str]]:
    return [(found[2].strip(), found[3]) for found in FENCE.finditer(page.read_text())]


def _commands(text: str, *, prompt: str) -> list[list[str]]:
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    shown = [line.removeprefix(prompt) for line in lines if line.startswith(prompt)]
    found = []
    for line in shown:
        if re.match(r"(uv run )?servewell\b", line):
            words = shlex.split(line.removeprefix("uv run "), comments=True)
            ends = (words.index(end) for end in SHELL_ENDS if end in words)
            found.append(words[1 : min(ends, default=len(words))])
    return found


def _parse(words: list[str], *, bare: bool = False) -> None:
    """Parse a command without running it; a file that it names need not be there.

    With `bare` its name alone will do: prose speaks of it.
    """
    command: click.Command = app
    context = click.Context(app, info_name="servewell")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, words
        context = click.Context(found, parent=context, info_name=words[0])
        command, words = found, words[1:]
    if bare and not words:
        return
    if not {"--help", "--version"} & set(words) and not isinstance(command, click.Group):
        for option in command.params:
            if isinstance(option.type, click.Path):
                option.type.exists = False
        command.make_context("servewell", words)
