"""The command line: one lazily loaded module per noun or verb."""

import importlib
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from servewell import __version__
from servewell.cli.context import Opener, Session
from servewell.cli.failure import EXIT_CODES, exit_code, explain, unexpected
from servewell.errors import ServewellError

COMMANDS: Final = {
    "up": "up",
    "train": "train",
    "down": "down",
    "status": "status",
    "health": "health",
    "objectives": "objectives",
    "scale": "scale",
    "predict": "predict",
    "load-test": "load_test",
    "runs": "runs",
    "models": "models",
    "data": "data",
    "gates": "gates",
    "endpoints": "endpoints",
    "rollouts": "rollouts",
    "experiments": "experiments",
    "deploy": "release",
    "traffic": "release",
    "rollback": "release",
    "stop": "stop",
    "resume": "stop",
    "retrain": "retrain",
    "keys": "keys",
    "ci": "ci",
    "history": "history",
    "shadow": "shadow",
    "drift": "drift",
    "triage": "drift",
    "records": "records",
    "trace": "trace",
    "explain": "explain",
    "compare": "version_comparison",
    "labels": "labels",
    "profiles": "profiles",
    "quality": "quality",
    "feedback": "feedback",
    "prometheus": "prometheus",
    "alerts": "alerts",
    "logs": "logs",
    "doctor": "doctor",
    "completion": "completion",
}
INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """Loads a command's module only when the command is named, so that each one starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading its module."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"servewell.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


EPILOG: Final = "Exit codes: " + ", ".join(f"{code} {what}" for code, what in EXIT_CODES.items())


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="servewell %(version)s")
def app() -> None:
    """Take a trained model to production and keep it honest there.

    `servewell up FOLDER` trains, checks, registers and serves what its servewell.yaml describes.
    """


def run(open_platform: Opener, arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Every failure ends as words, never a traceback."""
    session = Session(open_platform=open_platform)
    return _guarded(lambda: _invoke(session, arguments), session)


def _invoke(session: Session, arguments: list[str] | None) -> int:
    result: Any = app.main(
        args=arguments, prog_name="servewell", obj=session, standalone_mode=False
    )
    return result if isinstance(result, int) else 0


def _guarded(invoke: Callable[[], int], session: Session) -> int:
    try:
        return invoke()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, a person gets words
        return _failed(error, session)


def _failed(error: BaseException, session: Session) -> int:
    """Say what went wrong; return the exit code."""
    code = 1
    match error:
        case ServewellError():
            explain(error, as_json=session.as_json)
            code = exit_code(error)
        case click.exceptions.Exit():
            code = error.exit_code
        case click.ClickException():
            error.show()
            code = error.exit_code
        case click.Abort() | KeyboardInterrupt():
            click.echo("interrupted", err=True)
            code = INTERRUPTED
        case BrokenPipeError():
            sys.stderr.close()
        case _:
            explain(unexpected(error), as_json=session.as_json)
    return code
