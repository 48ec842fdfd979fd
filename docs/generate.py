"""Make the reference pages from the code: `python docs/generate.py [--check]`.

What the code says about itself (types, bounds, docstrings, help) is the one source; a page that
differs from it is stale, and `--check` ends with 1 and its name. Nothing here depends on the time
or the machine.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import click
import yaml

import servewell
from servewell.cli.app import app
from servewell.cli.failure import EXIT_CODES
from servewell.core.catalog.alert_rules import OF_EMAIL
from servewell.core.catalog.workload_schema import Key, allowed_by, workload_keys, workload_schema
from servewell.core.operations.monitoring.alerts_moves import MOVES as ALERT_MOVES
from servewell.core.operations.monitoring.alerts_moves import Move as AlertMove
from servewell.core.operations.rollout_moves import MOVES, Move
from servewell.errors import ServewellError
from servewell.serving.metrics import METRICS
from servewell.settings import OF_COMMANDS, Settings

DOCS: Final = Path(__file__).parent
REFERENCE: Final = DOCS / "reference"
MADE: Final = "<!-- Made by docs/generate.py; change the code instead. -->"
FAMILIES: Final = {
    "1": "What you wrote: a file, a flag, a setting",
    "2": "What does not exist, or stands in the way",
    "3": "A request",
    "4": "Training and models",
    "5": "The machine",
}
EVERY_COMMAND: Final = ("home", "as_json", "help")  # options that are described once


def pages() -> dict[Path, str]:
    """Return every generated file with its text."""
    return {
        REFERENCE / "servewell.schema.json": schema_page(),
        REFERENCE / "workload.md": workload_page(),
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "errors.md": errors_page(),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "metrics.md": metrics_page(),
        REFERENCE / "rollout-moves.md": rollout_moves_page(),
        REFERENCE / "alert-moves.md": alert_moves_page(),
    }


def schema_page() -> str:
    """Return the JSON Schema that editors complete a workload file from."""
    return json.dumps(workload_schema(), indent=2, ensure_ascii=False) + "\n"


WORKLOAD_HEAD: Final = """\
# The workload file

One `servewell.yaml` describes a workload: where the rows come from, how the model is made or where
it lies, and how it is served. It is YAML in UTF-8, at most 1 MiB, without anchors, aliases or tags.
Only `true` and `false` are booleans, and a date is text. Paths start from the folder of the file
and stay inside it.

Only `workload` and one of `train` and `artifact` must be there:

```yaml servewell
# yaml-language-server: $schema=servewell.schema.json
workload: flight-delays
artifact:
  path: model.onnx
```

An editor with a YAML language server (the YAML extension of VS Code, for one) completes and checks
the file as you type when its first line names [the JSON Schema](servewell.schema.json), by its path
from the workload file or by a URL.

`servewell doctor FOLDER` names every fault at once with its line, its column and what is allowed
there. One value can be replaced for one start: `servewell up --set serving.port=9000`.
"""


def workload_page() -> str:
    """Return the reference of every key of the workload file."""
    keys = list(workload_keys(workload_schema()))
    top = [key for key in keys if len(key.path) == 1]
    parts = [MADE, WORKLOAD_HEAD, "## At the top", key_table(top)]
    for parent in keys:
        path = (*parent.path, "<name>") if named_by_user(parent) else parent.path
        if below := [key for key in keys if key.path[:-1] == path]:
            about = parent.schema["description"]
            parts += [f"## `{'.'.join(path)}`", about, key_table(below), example(below)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def named_by_user(key: Key) -> bool:
    """Whether the names below a key are the user's, each with the same keys below it."""
    below = key.schema.get("additionalProperties")
    return isinstance(below, dict) and "properties" in below


def key_table(keys: list[Key]) -> str:
    """Return a table of keys that stand beside each other."""
    rows = [
        (
            f"`{key.path[-1]}`",
            key.schema["description"],
            allowed_by(key.schema),
            default_of(key),
        )
        for key in keys
    ]
    return table(("key", "meaning", "allowed", "default"), rows)


# The name that stands for the user's in the example of a section.
NAMED: Final = {"steps": "clean", "kinds": "drift", "receivers": "oncall"}


def default_of(key: Key) -> str:
    """Return what holds where the key is left out."""
    if key.required:
        return "must be there"
    if "default" not in key.schema or key.schema["default"] == "":
        return "none"
    return f"`{json.dumps(key.schema['default'])}`".replace('"', "")


def example(keys: list[Key]) -> str:
    """Return the keys with their examples, as they stand in a file."""
    data: dict[str, Any] = {}
    for key in keys:
        here = data
        for above, step in zip(("", *key.path), key.path[:-1], strict=False):
            here = here.setdefault(NAMED.get(above, "wind_speed") if step == "<name>" else step, {})
        if examples := key.schema.get("examples"):
            here[key.path[-1]] = examples[0]
    if keys[0].path[0] == "inputs":
        rule = data["inputs"]["wind_speed"]
        data["inputs"]["origin"] = {"allowed": rule.pop("allowed")}
        data["inputs"]["email"] = {"personal": rule.pop("personal")}
    if keys[0].path[:2] == ("alerts", "receivers"):
        receivers = data["alerts"]["receivers"]
        mail = {key: receivers["oncall"].pop(key) for key in (*OF_EMAIL, "escalation")}
        receivers["boss"] = {"to": "email", "secret": "env:MAIL_PASSWORD", **mail}
        del receivers["oncall"]["unencrypted"]
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return f"```yaml\n{text.strip()}\n```"


SETTINGS_HEAD: Final = """\
# Settings

What is true of a machine, not of a workload, is read from the environment, once, when a command
starts. A value that cannot be used is refused with [SW-102](../errors/SW-102.md).
"""


def settings_page() -> str:
    """Return the reference of the environment variables."""
    told = [*(field.metadata for field in fields(Settings)), *OF_COMMANDS]
    rows = [(f"`{one['variable']}`", one["about"], one["allowed"], one["default"]) for one in told]
    made = table(("variable", "meaning", "allowed", "default"), rows)
    return f"{MADE}\n\n{SETTINGS_HEAD}\n{made}\n"


ERRORS_HEAD: Final = """\
# Error codes

Every error that a person may read has a code, which never changes: it ends the message in the
terminal, it is the `code` of an answer of the endpoint, and it names the page that says what to do.
"""


def errors_page() -> str:
    """Return the index of all error codes."""
    parts = [MADE, ERRORS_HEAD]
    found = errors()
    for family, title in FAMILIES.items():
        rows = [
            (f"[{code}](../errors/{code}.md)", summary(one))
            for code, one in found.items()
            if code.startswith(f"SW-{family}")
        ]
        parts += [f"## SW-{family}xx: {title}", table(("code", "what happened"), rows)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def errors() -> dict[str, type[ServewellError]]:
    """Return every error class of the platform that has a code of its own, by that code.

    Migrations are programs that Alembic runs, and hold no class.
    """
    for module in pkgutil.walk_packages(servewell.__path__, "servewell."):
        if module.name != "servewell.__main__" and ".migrations" not in module.name:
            importlib.import_module(module.name)
    found = (one for one in subclasses(ServewellError) if "code" in vars(one))
    return {one.code: one for one in sorted(found, key=lambda one: one.code)}


def subclasses(parent: type[ServewellError]) -> Iterator[type[ServewellError]]:
    """Yield every class below `parent` that is the platform's own."""
    for child in parent.__subclasses__():
        if child.__module__.startswith("servewell."):
            yield child
        yield from subclasses(child)


def summary(one: type) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(one) or "").partition("\n\n")[0].split())


CLI_HEAD: Final = """\
# The command line

Every command takes `--help`, `--home DIR` (the folder where state lives) and `--json` (print JSON,
errors too). A command that changes something takes `--dry-run`: it says what it would do and why,
and does nothing. Where one is named, `-` stands for standard input.
"""


def cli_page() -> str:
    """Return the reference of every command, its arguments, options and exit codes."""
    codes = table(("exit code", "meaning"), [(str(n), words) for n, words in EXIT_CODES.items()])
    parts = [MADE, CLI_HEAD, "## Exit codes", codes]
    for path, command in commands():
        parts += [
            f"## `servewell {' '.join(path)}`",
            prose(command.help or ""),
            f"```text\n{usage(path, command)}\n```",
            parameters(command),
        ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, by its words."""
    yield from _below((), app)


def _below(
    path: tuple[str, ...], group: click.Group
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _below((*path, name), command)
        elif command is not None:
            yield (*path, name), command


METRICS_HEAD: Final = """\
# Metrics

`GET /metrics` on the address of the endpoints answers in OpenMetrics 1.0 where `Accept` asks for
`application/openmetrics-text`, as Prometheus does, else in the Prometheus text format 0.0.4. It
needs a key with the role `operator` for all endpoints;
[Watch an endpoint](../guides/watch-an-endpoint.md) shows a scrape configuration.

Whichever worker answers, the numbers are the sums over all workers of the machine, except where a
series names its `worker`. Counters survive the restart of a worker; they start again when the
machine has lost its power. No label holds what a caller wrote, so no caller can make a series but
by the first request of its kind.
"""


def metrics_page() -> str:
    """Return the reference of every metric."""
    rows = [
        (f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.about)
        for one in METRICS
    ]
    return f"{MADE}\n\n{METRICS_HEAD}\n{table(('metric', 'type', 'labels', 'meaning'), rows)}\n"


def prose(text: str) -> str:
    """Return help text in Markdown: `Example:` lines as code, the rest as paragraphs."""
    paragraphs = inspect.cleandoc(text).replace("\b\n", "").split("\n\n")
    return "\n\n".join(
        "```sh\n" + "\n".join(lines_of(one)) + "\n```" if one.startswith("Example") else one
        for one in paragraphs
    )


def lines_of(paragraph: str) -> list[str]:
    """Return the commands of an `Example:` paragraph."""
    return [line.strip() for line in paragraph.partition(":")[2].splitlines() if line.strip()]


def usage(path: tuple[str, ...], command: click.Command) -> str:
    """Return how the command is written."""
    context = click.Context(command, info_name=" ".join(("servewell", *path)))
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def parameters(command: click.Command) -> str:
    """Return a table of the options that are this command's own."""
    context = click.Context(command)
    rows = []
    for option in command.params:
        record = option.get_help_record(context)
        if record and option.name not in EVERY_COMMAND:
            rows.append((f"`{record[0]}`", record[1].replace("<=x<=", " to ")))
    return table(("option", "meaning"), rows) if rows else ""


ROLLOUT_MOVES_HEAD: Final = """\
# The moves of a rollout

A rollout is at one stage at a time, and goes to another one by one of these moves alone. Each move
is a line of `servewell history`, with its reason. `hold`, `cancel` and `roll back` are possible at
every stage that has not ended; [the guide](../guides/rollouts.md) says when each is made.
"""


def rollout_moves_page() -> str:
    """Return the table of moves: stages down, moves across."""
    moves = [move for move in Move if move is not Move.STAY]
    rows = [
        (f"**{stage.value}**", *(found[move].value if move in found else "" for move in moves))
        for stage, found in MOVES.items()
        if found
    ]
    ends = ", ".join(f"`{stage.value}`" for stage, found in MOVES.items() if not found)
    drawn = table(("at", *(move.value for move in moves)), rows)
    return f"{ROLLOUT_MOVES_HEAD}\n{MADE}\n\n{drawn}\n\nIt ends as {ends}.\n"


ALERT_MOVES_HEAD: Final = """\
# The moves of an alert

An alert is in one state at a time, and goes to another one by one of these moves alone;
[the guide](../guides/alerts.md) says when each is made. `servewell alerts show ID` lists those that
were made, with their reasons.
"""


def alert_moves_page() -> str:
    """Return the table of moves: states down, moves across."""
    rows = [
        (f"**{state}**", *(found[move].value if move in found else "" for move in AlertMove))
        for state, found in ALERT_MOVES.items()
        if found
    ]
    drawn = table(("in", *(move.value for move in AlertMove)), rows)
    return f"{ALERT_MOVES_HEAD}\n{MADE}\n\n{drawn}\n\n`dropped` is the end; nobody was told.\n"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def main(arguments: list[str]) -> int:
    """Write what is stale, or with `--check` only name it; 1 where something was to be named."""
    stale = [page for page, text in pages().items() if read(page) != text]
    if arguments == ["--check"]:
        for page in stale:
            sys.stderr.write(f"{page.relative_to(DOCS)} is stale: run `python docs/generate.py`\n")
        return int(bool(stale))
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
    return 0


def read(page: Path) -> str | None:
    """Return what a page holds now, or None where there is none."""
    return page.read_text(encoding="utf-8") if page.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
