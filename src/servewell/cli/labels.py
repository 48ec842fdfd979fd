"""`servewell labels`: the truth for predictions, as it becomes known."""

from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.cli.row_progress import RowProgress
from servewell.core.catalog.label import Label
from servewell.core.operations.told_labels import LabelColumns
from servewell.flows.labels import Added, add_labels, check_known
from servewell.ports.labels import DeploymentLabels

DAY_S: Final = 86_400
HOUR_S: Final = 3_600
MINUTE_S: Final = 60
DEFAULTS: Final = LabelColumns()


@click.group
def labels() -> None:
    """Add what is true of predictions, and see how wrong they were."""


@labels.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--id-column", default=DEFAULTS.prediction_id, show_default=True, help="Has the prediction id."
)
@click.option("--label-column", default=DEFAULTS.label, show_default=True, help="Has the truth.")
@click.option(
    "--row-column",
    default=DEFAULTS.row,
    show_default=True,
    help="Has the number of the row within its request, from 0; without it, the first.",
)
@click.option(
    "--unknown-max",
    type=click.FloatRange(0, 100),
    default=10.0,
    show_default=True,
    help="Percent that may be of unknown predictions before the exit code is 4.",
)
@dry_run
@command
def add(  # noqa: PLR0913 - the words of the command
    session: Session,
    file: Path,
    *,
    id_column: str,
    label_column: str,
    row_column: str,
    unknown_max: float,
    dry_run: bool,
) -> int:
    """Keep the labels in FILE: .csv, .json, .jsonl or .parquet, with a prediction id in each row.

    The whole file is checked first. A label that is known already changes nothing; another one
    for the same row corrects it, and both are kept. Where many are of unknown predictions, the
    exit code is 4; those of known ones are kept all the same.

    Example: servewell labels add arrivals.csv --label-column was_late
    """
    columns = LabelColumns(prediction_id=id_column, label=label_column, row=row_column)
    platform = session.platform
    total = platform.tables.count(file)
    with RowProgress(total=total, shown=not session.as_json) as progress:
        added = add_labels(
            platform, file, columns=columns, dry_run=dry_run, progress=progress.advance
        )
    if session.as_json:
        show.as_json(added)
    else:
        _show_added(added)
    check_known(added, unknown_max=unknown_max / 100)
    return 0


@labels.command("show")
@click.argument("prediction_id")
@command
def show_labels(session: Session, prediction_id: str) -> int:
    """Show the labels of one prediction, with what was predicted and every correction.

    Example: servewell labels show 17d1f0a6b3c2d4e5a1b2c3d4e5f60718
    """
    found = session.platform.labels.history(prediction_id)
    if session.as_json:
        show.as_json(found)
        return 0
    heads = ("row", "label", "predicted", "loss", "added (UTC)", "by", "from", "")
    show.table(heads, map(_told, found), empty="No label is known for this prediction.")
    return 0


@labels.command
@click.argument("endpoint", shell_complete=endpoint_names)
@command
def status(session: Session, endpoint: str) -> int:
    """Say how many predictions of ENDPOINT have labels, how old they are, and how wrong they were.

    Example: servewell labels status flight-delays
    """
    session.platform.endpoints.get(endpoint)
    found = session.platform.labels.status(endpoint)
    if session.as_json:
        show.as_json(found)
        return 0
    heads = (
        "deployment",
        "labelled rows",
        "mean loss",
        "measure",
        "corrected",
        "predicted from (UTC)",
        "to (UTC)",
        "label came after",
    )
    show.table(heads, map(_summed, found), empty=f"No prediction of `{endpoint}` has a label yet.")
    return 0


def _show_added(added: Added) -> None:
    verb = "would be added" if added.dry_run else "added"
    click.echo(f"{added.rows:,} rows: {_parts(added, verb)}")
    if added.unknown:
        more = added.unknown - len(added.unknown_ids)
        rest = f" and {more:,} more" if more > 0 else ""
        click.echo(f"unknown here: {', '.join(added.unknown_ids)}{rest}")
        click.echo(
            f"{added.unknown / added.rows:.0%} of the file counts nowhere: these predictions are "
            "of another home, past the retention of the records, or mistyped."
        )


def _parts(added: Added, verb: str) -> str:
    counts = (
        (added.added, verb),
        (added.corrected, "corrected"),
        (added.repeated, "known already"),
        (added.unknown, "of unknown predictions"),
        (added.unanswered, "of rows that had no answer"),
        (added.incomparable, "that do not speak of the outputs"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing to add"


def _told(label: Label) -> tuple[object, ...]:
    predicted = "  ".join(f"{name} {value}" for name, value in label.outputs.items())
    return (
        label.row,
        label.value,
        predicted,
        _loss(label.loss, label.measure),
        show.moment(label.added_at),
        label.principal,
        label.source,
        "corrects the one before" if label.corrects else "",
    )


def _summed(one: DeploymentLabels) -> tuple[object, ...]:
    return (
        one.deployment,
        f"{one.predictions:,}",
        "-" if one.loss is None else f"{one.loss:.4g}",
        one.measure or "-",
        f"{one.corrected:,}",
        show.moment(one.first_predicted_at),
        show.moment(one.last_predicted_at),
        _span(one.delay_s),
    )


def _loss(loss: float | None, measure: str) -> str:
    return "-" if loss is None else f"{loss:.4g} {measure}"


def _span(seconds: float) -> str:
    for unit, name in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"
