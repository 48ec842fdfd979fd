"""`servewell alerts runbook`: what an alert means, where to look, and what to do."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import click

import servewell
from servewell.cli import show
from servewell.cli.context import Session, command

PAGE: Final = ".md"


def runbook_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the runbooks whose names begin so."""
    del ctx, param
    return [one for one in _names() if one.startswith(incomplete)]


@click.command
@click.argument("name", required=False, shell_complete=runbook_names)
@command
def runbook(session: Session, name: str | None) -> int:
    """Print the runbook of that NAME, as an alert names it; without one, list them.

    Example: servewell alerts runbook error-budget
    """
    names = _names()
    if name is None:
        if session.as_json:
            show.as_json(names)
        else:
            click.echo("\n".join(names))
        return 0
    if name not in names:
        raise click.BadParameter(f"`{name}` is none of {', '.join(names)}", param_hint="NAME")
    text = (_folder() / f"{name}{PAGE}").read_text(encoding="utf-8")
    if session.as_json:
        show.as_json({"name": name, "text": text})
    else:
        click.echo(text, nl=False)
    return 0


def _names() -> list[str]:
    pages = (one.name for one in _folder().iterdir())
    return sorted(one.removesuffix(PAGE) for one in pages if one.endswith(PAGE))


def _folder() -> Traversable:
    """Return where the pages are: in the package, or in the repository that it is run from."""
    packed = files(servewell) / "runbooks"
    return packed if packed.is_dir() else Path(servewell.__file__).parents[2] / "docs" / "runbooks"
