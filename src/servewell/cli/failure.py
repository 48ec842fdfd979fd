"""How a failure ends: words on stderr, and an exit code per family of errors."""

import json
import tempfile
import traceback
from dataclasses import asdict
from typing import Final

import click

from servewell.errors import ServewellError

EXIT_CODES: Final = {
    0: "done",
    1: "unexpected",
    2: "wrong usage",
    3: "faults in a file, flag or setting (SW-1xx)",
    4: "missing, or in the way (SW-2xx)",
    5: "request refused (SW-3xx)",
    6: "training or model failed (SW-4xx)",
    7: "this machine (SW-5xx)",
    8: "objective missed, in a load test",
    130: "interrupted",
}
FIRST_FAMILY_EXIT: Final = 2  # family 1 exits with 3, family 2 with 4, …


def exit_code(error: ServewellError) -> int:
    """Return the exit code of an error's family."""
    family = int(error.code[len("SW-")])
    return FIRST_FAMILY_EXIT + family if family else 1


class UnexpectedError(ServewellError):
    """Something that Servewell does not expect: a fault of its own."""

    code = "SW-001"


def unexpected(error: BaseException) -> UnexpectedError:
    """Return what to tell a person of a fault of ours; its trace is kept in a file."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="servewell-fault-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return UnexpectedError(
        f"Servewell failed in a way that it does not expect: {type(error).__name__}.",
        why="this is a fault of Servewell itself; what was acknowledged before is kept",
        fix=f"run it again; if it stays, report it with {file.name}, once you looked it through",
    )


def explain(error: ServewellError, *, as_json: bool) -> None:
    """Say on stderr what happened, why, and what to do next."""
    if as_json:
        click.echo(json.dumps(_as_value(error)), err=True)
        return
    head, *rest = str(error).splitlines()
    click.echo(click.style(head, fg="red", bold=True), err=True)
    click.echo("\n".join(rest), err=True)


def _as_value(error: ServewellError) -> dict[str, object]:
    """Return an error for a program; where it has several faults, each as a value."""
    words = {"error": error.what, "because": error.why, "next": error.fix, "code": error.code}
    faults = [asdict(fault) for fault in getattr(error, "faults", ())]
    return {**words, "faults": faults} if faults else {**words}
