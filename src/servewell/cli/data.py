"""`servewell data`: versioned rows, what they hold, whose they are and how long they are kept."""

from pathlib import Path

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.data_page import comparison_page, dataset_page
from servewell.cli.data_view import comparison_rows, statistics_rows
from servewell.core.catalog.dataset import DatasetPolicy, DatasetVersion
from servewell.core.catalog.workload_data import ContractRules
from servewell.core.operations.dataset_rules import PolicyChange
from servewell.flows.datasets import (
    add_dataset,
    compare_datasets,
    export_dataset,
    find_rows,
    find_version,
    foresee_access,
    foresee_addition,
    foresee_removal,
    kept_words,
    list_datasets,
    readers_words,
    remove_dataset,
    set_access,
)
from servewell.ports.data_sources import DataSource, DataSourceError

HTML = click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file."
)


@click.group
def data() -> None:
    """Keep versions of rows, with what they hold, an owner, readers and a retention."""


@data.command
@click.argument("name")
@click.argument("source", metavar="PATH_OR_URL")
@click.option("--query", default="", help="Of a database: a table, or SQL that gives the rows.")
@click.option("--text", "texts", multiple=True, metavar="COLUMN", help="A CSV column of texts.")
@click.option("--owner", help="Whose it is; default: yours.")
@click.option("--reader", "readers", multiple=True, help="Who may read it; `nobody` for none.")
@click.option("--retention-days", type=click.IntRange(1), help="Days that a version is kept.")
@click.option("--personal", multiple=True, metavar="COLUMN", help="A column of personal values.")
@dry_run
@command
def add(  # noqa: PLR0913 - the words of the command
    session: Session,
    name: str,
    source: str,
    *,
    query: str,
    texts: tuple[str, ...],
    owner: str | None,
    readers: tuple[str, ...],
    retention_days: int | None,
    personal: tuple[str, ...],
    dry_run: bool,
) -> int:
    """Take in rows as a version of NAME: a CSV or Parquet file, or a query of a database by URL.

    The same rows again are the same version. A URL is sqlite:///FILE, postgresql://HOST/DATABASE,
    or env:VARIABLE that holds one; its password is neither shown nor kept.

    Example: servewell data add bookings env:BOOKINGS_URL --query "SELECT * FROM bookings"
    """
    change = PolicyChange(
        owner=owner, readers=readers, retention_days=retention_days, personal=personal
    )
    told = DataSource(location=source, query=query, texts=texts)
    added = (
        foresee_addition(session.platform, name, told, progress=_say)
        if dry_run
        else add_dataset(session.platform, name, told, change=change, progress=_say)
    )
    if session.as_json:
        show.as_json(added)
        return 0
    version = added.version
    size = f"{version.rows:,} rows, {show.size(version.size_bytes)}"
    if not added.new:
        click.echo(f"These rows are {version.reference} already: nothing to add.")
    elif dry_run:
        click.echo(f"A version of `{name}` would be added: {size}.")
        rows = [(one.name, one.type, f"{one.missing:,}") for one in version.columns]
        show.table(("column", "type", "missing"), rows, empty="There are no columns.")
    else:
        click.echo(f"{version.reference} is new: {size}.")
    if version.statistics:
        _table(version)
    return 0


def _say(words: str) -> None:
    click.echo(words, err=True)


@data.command("list")
@click.argument("name", required=False)
@command
def list_(session: Session, name: str | None) -> int:
    """List the versions; of one dataset NAME, or of all.

    Example: servewell data list
    """
    found = list_datasets(session.platform, name)
    names = {one.name for one in found}
    policies = {
        one: policy for one, policy in session.platform.datasets.policies().items() if one in names
    }
    if session.as_json:
        show.as_json({"versions": found, "policies": policies})
        return 0
    rows = [
        (
            one.reference,
            f"{one.rows:,}",
            show.size(one.size_bytes),
            show.moment(one.created_at),
            policies[one.name].owner if one.name in policies else "-",
            f"removed {show.moment(one.removed_at)}"
            if one.removed_at
            else _kept(policies.get(one.name)),
            one.source,
        )
        for one in found
    ]
    heads = ("version", "rows", "size", "added (UTC)", "owner", "kept", "from")
    show.table(heads, rows, empty="No dataset yet. `servewell data add NAME FILE` adds one.")
    return 0


@data.command("show")
@click.argument("version")
@HTML
@command
def show_(session: Session, version: str, *, html: Path | None) -> int:
    """Show one VERSION, as NAME or NAME:NUMBER: where it is from, and what each column holds.

    Example: servewell data show flights:1
    """
    found = find_version(session.platform, version)
    policy = session.platform.datasets.policies().get(found.name)
    if html is not None:
        _write(html, dataset_page(found, policy))
    if session.as_json:
        show.as_json({"version": found, "policy": policy})
        return 0
    click.echo(click.style(found.reference, bold=True) + f"  {found.rows:,} rows")
    click.echo(f"from      {found.source}")
    click.echo(f"added     {show.moment(found.created_at)} UTC, {show.size(found.size_bytes)}")
    click.echo(f"digest    {found.digest}")
    if policy is not None:
        words = f"{policy.owner}; {readers_words(policy)}; {kept_words(policy)}"
        click.echo(f"owner     {words}")
    if found.removed_at is not None:
        click.echo(f"removed   {show.moment(found.removed_at)} UTC: {found.removed_because}")
    _table(found)
    if html is not None:
        click.echo(f"The page is in {html}.")
    return 0


@data.command
@click.argument("before")
@click.argument("now")
@HTML
@command
def compare(session: Session, before: str, now: str, *, html: Path | None) -> int:
    """Show how the rows of NOW that are new differ from those of BEFORE, as the gates would.

    Example: servewell data compare flights:1 flights:2
    """
    compared = compare_datasets(session.platform, before, now, rules=ContractRules())
    if html is not None:
        _write(html, comparison_page(compared))
    if session.as_json:
        show.as_json(compared)
        return 0
    shifts = compared.shifts
    click.echo(
        f"{shifts.rows_now:,} of {compared.now.rows:,} rows of {compared.now.reference} are not "
        f"in {compared.before.reference}."
    )
    heads = ("column", "index", "by itself", "missing", "unseen", "")
    show.table(heads, comparison_rows(shifts), empty="There are no columns.")
    click.echo()
    for row in compared.rows:
        verdict = row.verdict if row.required or row.verdict == "cannot tell" else "note"
        click.echo(f"{click.style(verdict, bold=True)}  {row.gate}: {row.because}")
    if html is not None:
        click.echo(f"The page is in {html}.")
    return 0


@data.command
@click.argument("version")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@dry_run
@command
def export(session: Session, version: str, path: Path, *, dry_run: bool) -> int:
    """Write the rows of VERSION to PATH, a .csv or .parquet file; the history tells of it.

    Example: servewell data export flights:1 flights.csv
    """
    found = (
        find_rows(session.platform, version)
        if dry_run
        else export_dataset(session.platform, version, path)
    )
    if session.as_json:
        show.as_json({"version": found, "path": str(path)})
        return 0
    verb = "would be written to" if dry_run else "are in"
    click.echo(f"{found.rows:,} rows of {found.reference} {verb} {path}.")
    return 0


@data.command
@click.argument("version")
@click.option("--because", default="it was asked for", help="Why; the history keeps it.")
@dry_run
@command
def remove(session: Session, version: str, *, because: str, dry_run: bool) -> int:
    """Remove the rows of VERSION. What was said of it stays, as far as a model needs it.

    Example: servewell data remove flights:1 --because "asked by the airline"
    """
    act = foresee_removal if dry_run else remove_dataset
    ending = act(session.platform, version, because=because)
    if session.as_json:
        show.as_json(ending)
        return 0
    verb = "would be" if dry_run else "are"
    click.echo(f"The rows of {ending.version.reference} {verb} removed: {ending.because}.")
    if not ending.remove:
        click.echo("Another version has the same rows, so their file stays.")
    return 0


@data.command
@click.argument("name")
@click.option("--owner", help="Whose it is from now on.")
@click.option("--reader", "readers", multiple=True, help="Who may read it; `nobody` for none.")
@click.option("--anyone", is_flag=True, help="Let whoever uses this home read it.")
@click.option("--retention-days", type=click.IntRange(1), help="Days that a version is kept.")
@click.option("--keep", is_flag=True, help="Keep versions until they are removed.")
@click.option("--personal", multiple=True, metavar="COLUMN", help="A column of personal values.")
@dry_run
@command
def access(  # noqa: PLR0913 - the words of the command
    session: Session,
    name: str,
    *,
    owner: str | None,
    readers: tuple[str, ...],
    anyone: bool,
    retention_days: int | None,
    keep: bool,
    personal: tuple[str, ...],
    dry_run: bool,
) -> int:
    """Say whose the dataset NAME is, who may read it and how long its versions are kept.

    Example: servewell data access flights --reader ann --reader bob --retention-days 90
    """
    change = PolicyChange(
        owner=owner,
        readers=readers,
        anyone=anyone,
        retention_days=retention_days,
        keep=keep,
        personal=personal,
    )
    act = foresee_access if dry_run else set_access
    policy = act(session.platform, name, change)
    if session.as_json:
        show.as_json(policy)
        return 0
    would = "would belong" if dry_run else "belongs"
    click.echo(
        f"`{name}` {would} to {policy.owner}; {readers_words(policy)}; {kept_words(policy)}."
    )
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataSourceError(
            f"The page cannot be written to `{path}`.",
            why=f"the operating system says: {error.strerror or error}",
            fix="name a file in a folder that is there and that you may write to",
        ) from error


def _table(version: DatasetVersion) -> None:
    heads = ("column", "type", "missing", "different", "", "what it holds")
    rows = statistics_rows(version)
    show.table(heads, rows, empty="Of its columns nothing is known any more.")


def _kept(policy: DatasetPolicy | None) -> str:
    days = policy.retention_days if policy else None
    return "for ever" if days is None else f"{days} days"
