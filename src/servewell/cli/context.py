"""What every command shares: the platform, and the options `--home` and `--json`."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

if TYPE_CHECKING:  # the ports are half of the time that `servewell --version` would take
    from servewell.flows.platform import Platform

Opener = Callable[[Path | None], "Platform"]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of the command line."""

    open_platform: Opener
    home: Path | None = None
    as_json: bool = False
    _platform: "Platform | None" = field(default=None, repr=False)

    @property
    def platform(self) -> "Platform":
        """The platform of the chosen home, opened at the first use."""
        if self._platform is None:
            self._platform = self.open_platform(self.home)
        return self._platform


def command(function: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Give a command its session, and the options that every command has."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path),
        help="Folder where state lives; default $SERVEWELL_HOME, else ~/.local/share/servewell.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
    @click.pass_obj
    @functools.wraps(function)
    def wrapped(session: Session, /, *args: Any, **kwargs: Any) -> R:  # noqa: ANN401 - click's own
        session.home = kwargs.pop("home")
        session.as_json = kwargs.pop("as_json")
        return function(session, *args, **kwargs)

    return wrapped


dry_run = click.option(
    "--dry-run", is_flag=True, help="Say what would be done and why, and do nothing."
)
