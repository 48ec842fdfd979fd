"""`servewell records`: read the prediction log."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.cli.record_query import query
from servewell.cli.row_progress import RowProgress
from servewell.flows.diagnose import lost_records
from servewell.ports.records import RecordQuery, RecordUsage, SegmentCorruptError

LIMIT: Final = 20
ANSWER_SHOWN: Final = 60  # characters
ROWS_SHOWN: Final = 20  # of one request
NESTED: Final = ("inputs", "outputs", "stages_us")

Record = dict[str, Any]


class RecordsGroup(click.Group):
    """Lists records unless another of its commands is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` before the words of a person who named no command."""
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(cls=RecordsGroup)
def records() -> None:
    """Read the prediction log: list what was recorded, or ask it in SQL.

    Without the name of a command: `list`.
    """


records.add_command(query)


@records.command("list")
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option("--id", "prediction_id", help="The record of this prediction.")
@click.option("--since", type=Moment(), metavar="TIME", help="Not before this time, in UTC.")
@click.option("--until", type=Moment(), metavar="TIME", help="Before this time, in UTC.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"The newest so many; default {LIMIT}, and all of them with --output.",
)
@click.option(
    "--role",
    type=click.Choice(("live", "shadow", "all")),
    help="Of what callers got, of shadows, or both; default live, and all with --id.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Keep them in a .jsonl, .csv or .parquet file, one line for each predicted row.",
)
@click.option("--usage", is_flag=True, help="Say what the log takes, and whether any is lost.")
@command
def list_(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str | None,
    *,
    prediction_id: str | None,
    since: float | None,
    until: float | None,
    limit: int | None,
    role: Literal["live", "shadow", "all"] | None,
    output: Path | None,
    usage: bool,
) -> int:
    """Show what was predicted, refused and failed, the newest last; of one ENDPOINT, or of all.

    Every request that passed authentication has a record. Personal inputs are tokens in it.

    Example: servewell records list flight-delays --output march.parquet
    """
    if usage:
        platform = session.platform
        _show_usage(session, platform.records.usage(), lost=lost_records(platform))
        return 0
    query = RecordQuery(
        endpoint=endpoint,
        prediction_id=prediction_id,
        since=since,
        until=until,
        limit=limit or (None if output else LIMIT),
        role=role or ("all" if prediction_id else "live"),
    )
    if output is not None:
        _to_file(session, query, output)
    else:
        _to_screen(session, query)
    return 0


def _to_screen(session: Session, query: RecordQuery) -> None:
    found: list[Record] = []
    fault: SegmentCorruptError | None = None
    try:
        found.extend(session.platform.records.read(query))
    except SegmentCorruptError as error:  # raised when everything that can be read was given
        fault = error
    if session.as_json:
        show.as_json(found)
    elif query.prediction_id is not None:
        _show_whole(found)
    else:
        _show_table(found, with_endpoint=query.endpoint is None)
    if fault is not None:
        raise fault


def _show_table(found: list[Record], *, with_endpoint: bool) -> None:
    heads = ("time (UTC)", "prediction", *(["endpoint"] if with_endpoint else []))
    rows = [
        (
            show.moment(one["time"]),
            one["prediction_id"],
            *([one["endpoint"] or "-"] if with_endpoint else []),
            f"{one['deployment'] or '-'}{one['role'] and ' (' + one['role'] + ')'}",
            one["status"],
            one["rows"],
            one["principal"],
            _answer(one),
        )
        for one in found
    ]
    heads = (*heads, "by", "status", "rows", "who", "answer")
    show.table(heads, rows, empty="No record matches.")


def _answer(record: Record) -> str:
    """Return the outputs of the first row, or why there are none, cut to what fits a line."""
    if record["code"]:
        words = f"{record['code']} {record['reason']}"
    else:
        words = "  ".join(f"{name} {_short(values[0])}" for name, values in _filled(record))
    cut = len(words) > ANSWER_SHOWN
    return words[: ANSWER_SHOWN - 1] + "…" if cut else words


def _filled(record: Record) -> Iterator[tuple[str, list[Any]]]:
    return ((name, values) for name, values in record["outputs"].items() if values)


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_short(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _show_whole(found: list[Record]) -> None:
    for record in found:
        facts = {key: value for key, value in record.items() if key not in NESTED}
        facts["time"] = _iso(record["time"])
        spent = ", ".join(f"{stage} {us}" for stage, us in record["stages_us"].items())
        for key, value in (facts | {"spent (µs)": spent}).items():
            click.echo(f"{key:<14} {'-' if value == '' else value}")
        click.echo()
        _show_rows(record)
    if not found:
        click.echo("No record matches.")


def _show_rows(record: Record) -> None:
    lines = list(lines_of(record))[:ROWS_SHOWN]
    names = [name for name in lines[0] if name.startswith(("input_", "output_"))]
    rows = [[line["row"], *(_short(line[name]) for name in names)] for line in lines]
    show.table(["row", *names], rows if names else [], empty="It kept no values.")
    if record["rows"] > ROWS_SHOWN:
        click.echo(f"and {record['rows'] - ROWS_SHOWN:,} rows more; --json shows all")


def _to_file(session: Session, query: RecordQuery, path: Path) -> None:
    platform = session.platform
    output = platform.tables.write(path)
    fault: SegmentCorruptError | None = None
    try:
        with RowProgress(total=None, shown=True) as progress:
            try:
                for record in platform.records.read(query):
                    output.write(list(lines_of(record)))
                    progress.advance(1)
            except SegmentCorruptError as error:  # all that can be read was given
                fault = error
        output.close()
    except BaseException:
        output.abandon()
        raise
    if session.as_json:
        show.as_json({"output": str(path), "records": progress.rows})
    else:
        click.echo(f"{progress.rows:,} records: `{path}`")
    if fault is not None:
        raise fault


def lines_of(record: Record) -> Iterator[Record]:
    """Yield one flat line for each row of a request; one without values where there are none.

    Inputs and outputs have the names that they have in the Parquet files of the log.
    """
    facts = {key: value for key, value in record.items() if key not in NESTED}
    facts["time"] = _iso(record["time"])
    spent = {f"{stage}_us": us for stage, us in record["stages_us"].items()}
    columns = dict(
        chain(
            ((f"input_{name}", values) for name, values in record["inputs"].items()),
            ((f"output_{name}", values) for name, values in record["outputs"].items()),
        )
    )
    for row in range(record["rows"] if columns else 0):
        values = {name: column[row] for name, column in columns.items() if row < len(column)}
        yield facts | {"row": row} | spent | values
    if not columns:
        yield facts | {"row": None} | spent


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat()


def _show_usage(session: Session, usage: RecordUsage, *, lost: int | None) -> None:
    if session.as_json:
        show.as_json({**asdict(usage), "lost": lost})
        return
    unwritten = (
        "unknown: no worker can be asked" if lost is None else f"{lost:,} could not be written"
    )
    click.echo(f"records   {usage.records:,}")
    click.echo(f"takes     {show.size(usage.bytes)}")
    click.echo(f"segments  {usage.segments:,} not yet compacted")
    click.echo(f"files     {usage.files:,} Parquet")
    click.echo(f"lost      {unwritten}")
    click.echo(f"missing   {usage.missing:,} records whose numbers are skipped")
    click.echo(f"damaged   {show.size(usage.damaged_bytes)} set aside in quarantine")
