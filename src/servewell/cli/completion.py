"""`servewell completion`: what a shell needs to complete commands, endpoints and deployments.

Names come from the snapshot, so completing asks no database.
"""

from typing import Final

import click
from click.shell_completion import get_completion_class

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.core.catalog.endpoint import Endpoint
from servewell.errors import ServewellError

VARIABLE: Final = "_SERVEWELL_COMPLETE"
INSTALL: Final = {
    "bash": "servewell completion bash > ~/.local/share/bash-completion/completions/servewell",
    "zsh": 'servewell completion zsh > "${fpath[1]}/_servewell"',
    "fish": "servewell completion fish > ~/.config/fish/completions/servewell.fish",
}


@click.command
@click.argument("shell", type=click.Choice(list(INSTALL)))
@command
def completion(session: Session, shell: str) -> int:
    """Print what makes SHELL complete commands, options, endpoints and deployments.

    Where to put it is said on stderr.

    Example: servewell completion bash
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not known to this release of click.")
    script = found(click.Command("servewell"), {}, "servewell", VARIABLE).source()
    if session.as_json:
        show.as_json({"shell": shell, "script": script, "install": INSTALL[shell]})
        return 0
    click.echo(script)
    click.echo(f"to install it: {INSTALL[shell]}", err=True)
    return 0


def endpoint_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the endpoints whose names begin so."""
    del param
    return [one.name for one in _endpoints(ctx) if one.name.startswith(incomplete)]


def deployment_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the deployments, of the endpoint that stands in the line, whose names begin so."""
    del param
    # While the option that is being completed lacks its value, words are still unsorted.
    chosen = ctx.params.get("endpoint") or next(iter(ctx.args), None)
    return sorted(
        {
            deployment.name
            for endpoint in _endpoints(ctx)
            for deployment in endpoint.deployments
            if chosen in (None, endpoint.name) and deployment.name.startswith(incomplete)
        }
    )


def _endpoints(ctx: click.Context) -> tuple[Endpoint, ...]:
    """Return what the snapshot serves; nothing where it cannot be read: completion never fails."""
    session = ctx.find_object(Session)
    if session is None:
        return ()
    session.home = ctx.params.get("home") or session.home
    try:
        snapshot = session.platform.snapshots.current()
    except ServewellError:
        return ()
    return snapshot.endpoints if snapshot else ()
