"""`servewell records query`: SQL over the prediction log."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
import msgspec

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.flows.monitoring.query import query_records
from servewell.ports.record_queries import Answer, Answered, Row, SqlQuery

LIMIT: Final = 1_000
CELL_SHOWN: Final = 60  # characters
MEBIBYTE: Final = 1 << 20


@click.command("query")
@click.argument("sql")
@click.option("--endpoint", help="Read the records of this endpoint alone.")
@click.option("--since", type=Moment(), metavar="TIME", help="Not before this time, in UTC.")
@click.option("--until", type=Moment(), metavar="TIME", help="Before this time, in UTC.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"At most so many rows; default {LIMIT:,}, and all of them to a file.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the answer to this CSV file.",
)
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the answer to this Parquet file.",
)
@click.option("--plan", is_flag=True, help="Show how it would be answered, and what is read.")
@click.option(
    "--as", "principal", help="Answer with what this principal may see; default: you, who see all."
)
@click.option(
    "--timeout", type=click.FloatRange(1, 3_600), default=60.0, help="Seconds; default 60."
)
@click.option(
    "--memory",
    type=click.IntRange(64, 65_536),
    default=1_024,
    help="MiB that it may take; default 1,024.",
)
@command
def query(  # noqa: PLR0913 - the words of the command
    session: Session,
    sql: str,
    *,
    endpoint: str | None,
    since: float | None,
    until: float | None,
    limit: int | None,
    csv_file: Path | None,
    parquet: Path | None,
    plan: bool,
    principal: str | None,
    timeout: float,
    memory: int,
) -> int:
    """Ask the prediction log one SQL question, in the words of DuckDB.

    Each endpoint is a view (write "flight-delays" with its quotes), `predictions` is all of them,
    and `labels` is what is known to be true. `SHOW TABLES` and `DESCRIBE predictions` say more.

    Example: servewell records query 'SELECT deployment, count(*) FROM predictions GROUP BY 1'
    """
    if csv_file is not None and parquet is not None:
        raise click.UsageError("the answer goes to one file: --csv or --parquet")
    file = csv_file or parquet
    asked = SqlQuery(
        sql=sql,
        endpoint=endpoint,
        since=since,
        until=until,
        rows_max=limit or (None if file else LIMIT),
        plan=plan,
        timeout_s=timeout,
        memory_bytes_max=memory * MEBIBYTE,
    )
    who = principal or session.platform.principal
    with query_records(session.platform, asked, principal=who) as answer:
        if file is not None:
            answer.save(file, as_csv=csv_file is not None)
        _show(session, answer, file, plan=plan)
    return 0


def _show(session: Session, answer: Answer, file: Path | None, *, plan: bool) -> None:
    told = answer.told
    if session.as_json:
        rows = [] if file else [row for some in answer.rows() for row in some]
        output = {"output": str(file)} if file else {"answer": [_plain(row) for row in rows]}
        show.as_json({**asdict(told), **output})
        return
    if plan:
        for some in answer.rows():
            for row in some:
                click.echo(list(row.values())[-1])
    elif file is not None:
        click.echo(f"{told.rows:,} rows: `{file}`")
    else:
        _show_table(told.columns, answer.rows())
    click.echo(_basis(told), err=True)


def _show_table(columns: Sequence[str], rows: Iterable[list[Row]]) -> None:
    cells = [[_cell(value) for value in row.values()] for some in rows for row in some]
    show.table(columns, cells, empty="No row.")


def _basis(told: Answered) -> str:
    """Return the sentence that says what the answer rests on."""
    newest = "it is empty" if told.newest is None else f"up to {show.moment(told.newest)}"
    words = [
        f"{told.rows:,} rows{', and more that are not shown' if told.cut else ''}",
        f"the log {newest}: {told.files:,} files and {told.segments:,} segments not yet compacted",
    ]
    if told.left_out:
        words.append(f"left out, for they cannot be read: {', '.join(told.left_out)}")
    return "; ".join(words)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    words = str(_plain(value))
    return words if len(words) <= CELL_SHOWN else words[: CELL_SHOWN - 1] + "…"


def _plain(value: object) -> object:
    """Return a value as JSON has it; a number that JSON has no word for is a text."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return msgspec.to_builtins(value, enc_hook=str)
