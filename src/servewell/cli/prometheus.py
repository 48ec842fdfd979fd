"""`servewell prometheus`: what Prometheus needs to watch a home."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Final

import click
import yaml

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.core.catalog.prometheus_rule import document
from servewell.core.reliability.prometheus_dashboard import dashboard
from servewell.core.reliability.prometheus_scrape import ScrapeFiles
from servewell.errors import ServewellError
from servewell.flows.monitoring.prometheus_rules import prometheus_groups, scrape

HEAD: Final = "# Made by `servewell prometheus {}`. Make it anew rather than change it.\n"
FILE: Final = click.Path(path_type=Path, dir_okay=False)


class PrometheusFileError(ServewellError):
    """A file for Prometheus cannot be written."""

    code = "SW-188"


class _Readable(yaml.SafeDumper):
    """Writes an expression of several lines as it is read."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out; nobody follows an anchor by eye."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


_Readable.add_representer(str, _text)
_Readable.add_multi_representer(StrEnum, _text)


@click.group
def prometheus() -> None:
    """Write rules, a scrape configuration and a dashboard for Prometheus and Grafana."""


@prometheus.command
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option("--out", type=FILE, metavar="FILE", help="Write them to this file.")
@command
def rules(session: Session, endpoint: str | None, *, out: Path | None) -> int:
    """Write the recording and alerting rules of ENDPOINT, or of all endpoints.

    They follow the objectives of the workload files as they are now: make them anew when an
    objective has changed.

    Example: servewell prometheus rules --out servewell-rules.yml
    """
    groups = prometheus_groups(session.platform, endpoint)
    notes = "".join(f"# {one.note}\n" for one in groups if one.note)
    return _tell(session, "rules", document(groups), out, notes=notes)


@prometheus.command("scrape")
@click.option(
    "--key-file",
    default="/etc/prometheus/servewell-key",
    show_default=True,
    metavar="FILE",
    help="Where Prometheus reads the key of an operator.",
)
@click.option(
    "--ca-file",
    metavar="FILE",
    help="Where it reads who signed the certificate; default: this home's own.",
)
@click.option(
    "--certificate",
    metavar="FILE",
    help="Certificate with its key, in PEM, that it shows where callers have to show one.",
)
@click.option(
    "--rules",
    "rule_file",
    default="servewell-rules.yml",
    show_default=True,
    metavar="FILE",
    help="The file of `servewell prometheus rules`.",
)
@click.option("--out", type=FILE, metavar="FILE", help="Write it to this file.")
@command
def scrape_(  # noqa: PLR0913 - the words of the command
    session: Session,
    *,
    key_file: str,
    ca_file: str | None,
    certificate: str | None,
    rule_file: str,
    out: Path | None,
) -> int:
    """Write how Prometheus reads this home, which has to be up.

    The key stays in a file of its own: `servewell keys create prometheus --role operator
    --every-endpoint` makes one.

    Example: servewell prometheus scrape --key-file /etc/prometheus/servewell-key
    """
    files = ScrapeFiles(key=key_file, authority=ca_file, certificate=certificate, rules=rule_file)
    return _tell(session, "scrape", scrape(session.platform, files), out)


@prometheus.command("dashboard")
@click.option("--out", type=FILE, metavar="FILE", help="Write it to this file.")
@command
def dashboard_(session: Session, *, out: Path | None) -> int:
    """Write a dashboard for Grafana: requests, latency, budgets, drift, quality and health.

    Import the file in Grafana; it asks for the data source, and shows all endpoints or some.

    Example: servewell prometheus dashboard --out servewell-dashboard.json
    """
    made = dashboard()
    return _told(session, made, json.dumps(made, indent=2) + "\n", out)


def _tell(
    session: Session, which: str, made: dict[str, object], out: Path | None, *, notes: str = ""
) -> int:
    body = yaml.dump(made, Dumper=_Readable, sort_keys=False, width=1_000)
    return _told(session, made, HEAD.format(which) + notes + body, out)


def _told(session: Session, made: dict[str, object], text: str, out: Path | None) -> int:
    if out is not None:
        _write(out, text)
    if session.as_json:
        show.as_json(made)
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"written: `{out}`")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PrometheusFileError(
            f"`{path}` cannot be written.",
            why=f"the operating system says: {error.strerror or error}",
            fix="name a file in a folder that is there and that you may write to",
        ) from error
