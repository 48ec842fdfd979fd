"""`servewell predict`: send rows, see what comes back."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import msgspec

from servewell.cli import show
from servewell.cli.completion import deployment_names, endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.row_progress import RowProgress
from servewell.flows import predict as flow
from servewell.flows.predict import Predicted
from servewell.ports.door import CallerCertificate
from servewell.ports.tables import Row

KEY_VARIABLE: Final = "SERVEWELL_KEY"
STDIN: Final = Path("-")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the rows come from."""

    batches: Iterable[list[Row]]
    total: int | None  # rows, where that is known
    single: bool  # whether a lone row is answered for a person


class RowValue(click.ParamType[Row]):
    """A row as a JSON object."""

    name = "json"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Row:
        """Return the row."""
        try:
            return msgspec.json.decode(str(value), type=dict[str, object])
        except (msgspec.DecodeError, RecursionError) as error:
            self.fail(f"it is not a JSON object: {error}", param, ctx)


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option(
    "--input",
    "input_",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Rows: a .json, .jsonl, .csv or .parquet file, or `-` for JSON (lines) from stdin.",
)
@click.option("--row", type=RowValue(), multiple=True, help="A row as JSON, instead of --input.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File for the answers: .jsonl, .csv or .parquet. It appears only when it is whole.",
)
@click.option("--deployment", shell_complete=deployment_names, help="Ask this deployment only.")
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="Rows in one request.",
)
@click.option("--url", default="", help="Where to send, if not to what this home serves.")
@click.option(
    "--client-certificate",
    metavar="FILE",
    help="A certificate to show at --url, in PEM; then no key is needed.",
)
@click.option(
    "--client-key",
    metavar="FILE",
    default="",
    help="Its private key, if it is in a file of its own.",
)
@command
def predict(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    *,
    input_: Path | None,
    row: tuple[Row, ...],
    output: Path | None,
    deployment: str | None,
    batch: int,
    url: str,
    client_certificate: str | None,
    client_key: str,
) -> int:
    """Send rows to ENDPOINT and show, or keep, what it answers.

    The columns of the rows are matched to the inputs of the model by name; others are left out.
    One row is answered in words, several as JSON lines. The key comes from the environment
    variable SERVEWELL_KEY; without it, the operator's key of this home is used.

    Example: servewell predict flight-delays --row '{"carrier": "UA"}'

    Example: servewell predict flight-delays --input a.csv --output b.parquet
    """
    platform = session.platform
    source = _source(session, input_, row, batch=batch)
    shown = _shown(client_certificate, client_key, url=url)
    key = flow.caller_key(platform, os.environ.get(KEY_VARIABLE, ""), url=url, shown=shown)
    _warn_of_plain_http(url)
    answers = flow.predict(
        platform, endpoint, source.batches, key=key, url=url, shown=shown, deployment=deployment
    )
    if output is not None:
        return _to_file(session, _noted(session, answers), output, total=source.total)
    return _to_screen(session, _noted(session, answers), source)


def _source(session: Session, input_: Path | None, row: tuple[Row, ...], *, batch: int) -> Source:
    if row and input_:
        raise click.UsageError("Give either --row or --input, not both.")
    if row:
        batches = [list(row[start : start + batch]) for start in range(0, len(row), batch)]
        return Source(batches=batches, total=len(row), single=len(row) == 1)
    if input_ is None and sys.stdin.isatty():
        raise click.UsageError("Say which rows to send, with --row or --input.")
    tables = session.platform.tables
    path = None if input_ in (None, STDIN) else input_
    total = None if path is None else tables.count(path)
    # With batches of several rows, a first batch of one row is all there is.
    return Source(batches=tables.read(path, batch=batch), total=total, single=batch > 1)


def _shown(certificate: str | None, key: str, *, url: str) -> CallerCertificate | None:
    if certificate is None and not key:
        return None
    if certificate is None or not url.startswith("https://"):
        raise click.UsageError(
            "--client-key belongs to --client-certificate, and that to --url https://…"
        )
    return CallerCertificate(certificate=certificate, key=key)


def _warn_of_plain_http(url: str) -> None:
    host = urlsplit(url).hostname if url.startswith("http://") else None
    if host and host not in LOOPBACK:
        click.echo(f"the key travels to {host} unencrypted; https:// would protect it", err=True)


def _noted(session: Session, answers: Iterable[Predicted]) -> Iterator[Predicted]:
    """Say once, of the first batch, how its columns and the model's inputs differ."""
    for number, one in enumerate(answers):
        if number == 0 and not session.as_json:
            _note("not inputs of the model, left out", one.columns.ignored)
            _note("inputs that no row has, sent as null", one.columns.absent)
        yield one


def _note(what: str, names: tuple[str, ...]) -> None:
    if names:
        click.echo(click.style(f"{what}: {', '.join(names)}", dim=True), err=True)


def _to_screen(session: Session, answers: Iterator[Predicted], source: Source) -> int:
    with RowProgress(total=source.total, shown=not sys.stdout.isatty()) as progress:
        for one in answers:
            if source.single and one.rows == 1 and not progress.rows:
                _show_one(session, one)
            else:
                click.echo(
                    b"".join(msgspec.json.encode(row) + b"\n" for row in one.by_row()), nl=False
                )
            progress.advance(one.rows)
    if not progress.rows:
        click.echo("there are no rows to send", err=True)
    return 0


def _show_one(session: Session, one: Predicted) -> None:
    answer = one.answer
    if session.as_json:
        show.as_json(answer)
        return
    width = max(len(name) for name in (*answer.outputs, "prediction"))
    for name, (value,) in answer.outputs.items():
        click.echo(f"{name:<{width}}  {click.style(_value(value), bold=True)}")
    who = f"`{answer.deployment}` (version {answer.model_version}), {answer.elapsed_ms:.1f} ms"
    click.echo(f"{'prediction':<{width}}  {answer.prediction_id}")
    click.echo(f"{'from':<{width}}  {who}")


def _value(value: object) -> str:
    if isinstance(value, list):
        return "  ".join(_value(one) for one in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _to_file(
    session: Session, answers: Iterator[Predicted], path: Path, *, total: int | None
) -> int:
    output = session.platform.tables.write(path)
    requests = 0
    try:
        with RowProgress(total=total, shown=True) as progress:
            for one in answers:
                output.write(one.by_row())
                requests += 1
                progress.advance(one.rows)
        output.close()
    except BaseException:
        output.abandon()
        _say_abandoned(session, path)
        raise
    _say_written(session, path, progress, requests=requests)
    return 0


def _say_abandoned(session: Session, path: Path) -> None:
    if not session.as_json:
        click.echo(f"`{path}` is not written: it is whole or it is not there", err=True)


def _say_written(session: Session, path: Path, progress: RowProgress, *, requests: int) -> None:
    if session.as_json:
        show.as_json(
            {
                "output": str(path),
                "rows": progress.rows,
                "requests": requests,
                "elapsed_s": progress.elapsed_s,
            }
        )
        return
    rate = progress.rows / progress.elapsed_s
    click.echo(
        f"{progress.rows:,} rows in {requests:,} requests, {progress.elapsed_s:.1f} s "
        f"({rate:,.0f} rows/s): `{path}`"
    )
