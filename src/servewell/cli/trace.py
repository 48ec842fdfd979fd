"""`servewell trace`: one request through every stage."""

from collections.abc import Iterator, Sequence
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.core.catalog.label import Label
from servewell.core.catalog.request_trace import Origin, Record, RequestTrace
from servewell.flows.monitoring.trace import trace as trace_request

BAR: Final = 40  # characters of the whole request
ROWS_SHOWN: Final = 5  # of one request
DIGEST_SHOWN: Final = 12
FULL: Final = "█"
THIN: Final = "▏"


@click.command("trace")
@click.argument("id_", metavar="ID")
@click.option(
    "--since",
    type=Moment(),
    metavar="TIME",
    help="Look for trace and request ids since then, in UTC; default: in the last week.",
)
@click.option(
    "--as", "principal", help="Look as this principal; default: you, who may see everything."
)
@command
def trace(session: Session, id_: str, *, since: float | None, principal: str | None) -> int:
    """Follow one request: its stages, who asked, what answered and where that came from.

    ID is a prediction id, which every answer names, or a trace id, or the request's own id.

    Example: servewell trace 18ea64a26c00390068d6597900000004
    """
    platform = session.platform
    who = principal or platform.principal
    found = trace_request(platform, id_, principal=who, since=since)
    if session.as_json:
        show.as_json(found)
        return 0
    for part in (_request(found), _stages(found.record), _answers(found), _lineage(found.origin)):
        for line in part:
            click.echo(line)
    for line in (*_evidence(found), *_told(found.labels), *_feedback(found)):
        click.echo(line)
    return 0


def _request(found: RequestTrace) -> Iterator[str]:
    record = found.record
    yield click.style(f"prediction {record['prediction_id']}", bold=True)
    yield from _facts(
        {
            "when": f"{show.moment(record['time'])} UTC",
            "asked by": _caller(found),
            "endpoint": record["endpoint"] or "-",
            "answered by": _deployment(record),
            "status": f"{record['status']} {record['code']} {record['reason']}".rstrip(),
            "rows": f"{record['rows']:,}",
            "request id": record["request_id"] or "-",
            "trace id": record["trace_id"] or "-",
            "snapshot": _snapshot(found),
        }
    )
    if found.others:
        yield f"{len(found.others)} other requests have this {found.found_by}, earlier ones: "
        yield "  " + "  ".join(found.others[-ROWS_SHOWN:])


def _caller(found: RequestTrace) -> str:
    caller = found.caller
    role = f", {caller.role}" if caller.role else ""
    key = f"key {caller.key_id}{role}, {caller.state} now" if caller.key_id else "no key"
    return f"{caller.principal} ({key})"


def _deployment(record: Record) -> str:
    how = f", {record['role']}" if record["role"] else ""
    if not record["deployment"]:
        return "nobody: it was refused before a deployment was chosen"
    return f"{record['deployment']} ({record['model']}{how})"


def _snapshot(found: RequestTrace) -> str:
    number = str(found.record["snapshot"])
    change = None if found.origin is None else found.origin.change
    if change is None:
        return number
    return f"{number}: {change.kind} by {change.principal}, {change.because}"


def _stages(record: Record) -> Iterator[str]:
    """Yield a bar for each stage, where it lies in the whole."""
    spent = {name: us or 0 for name, us in record["stages_us"].items()}
    whole = sum(spent.values())
    if not whole:
        return
    yield ""
    yield click.style(f"{whole:,} microseconds", bold=True)
    before = 0
    for name, us in spent.items():
        start, end = (round(BAR * at / whole) for at in (before, before + us))
        bar = " " * start + (FULL * (end - start) or (THIN if us else ""))
        yield f"{name:<13} {us:>9,}  {us / whole:>6.1%}  {bar}".rstrip()
        before += us


def _answers(found: RequestTrace) -> Iterator[str]:
    """Yield the answer of the first rows, with that of a shadow beside it."""
    sides = {"answer": found.live} if found.live else {}
    sides |= {f"shadow {one['deployment']}": one for one in found.shadows}
    for word, record in sides.items():
        yield ""
        yield click.style(f"{word} ({_total_us(record):,} microseconds)", bold=True)
        for row in range(min(record["rows"], ROWS_SHOWN)):
            values = [f"{k} {_short(v[row])}" for k, v in record["outputs"].items() if row < len(v)]
            yield f"row {row:<9} {'  '.join(values) or record['code'] or '-'}"
        if record["rows"] > ROWS_SHOWN:
            yield f"and {record['rows'] - ROWS_SHOWN:,} rows more; --json shows all"


def _total_us(record: Record) -> int:
    return sum(us or 0 for us in record["stages_us"].values())


def _short(value: object) -> str:
    if isinstance(value, list):
        return " ".join(_short(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lineage(origin: Origin | None) -> Iterator[str]:
    if origin is None:
        return
    lineage = origin.version.manifest.lineage
    changed = ", with changes" if lineage.dirty else ""
    run = origin.run
    began = f": {show.moment(run.started_at)} by {run.principal or '-'}" if run else ""
    why = f", {run.because}" if run and run.because else ""
    digest = (lineage.dataset_digest or "-")[:DIGEST_SHOWN]
    yield ""
    yield click.style("where it came from", bold=True)
    yield from _facts(
        {
            "version": f"{origin.version.name}, made {show.moment(origin.version.created_at)}",
            "package": origin.version.package[:DIGEST_SHOWN],
            "run": f"{lineage.run[:DIGEST_SHOWN]}{began}{why}",
            "dataset": f"{lineage.dataset or '-'} ({digest})",
            "commit": f"{lineage.commit or '-'}{changed}",
        }
    )


def _evidence(found: RequestTrace) -> Iterator[str]:
    for one in found.evidence:
        yield ""
        yield click.style(f"{one.kind} {one.id[:DIGEST_SHOWN]} ({one.stands})", bold=True)
        word = "counts" if one.counts else "does not count"
        yield f"{'this request':<13} {word}: {one.because}"


def _told(labels: Sequence[Label]) -> Iterator[str]:
    if not labels:
        return
    yield ""
    yield click.style("what is true of it", bold=True)
    for one in labels:
        loss = "" if one.loss is None else f", {one.measure} {one.loss:.4g}"
        word = "corrected to" if one.corrects else "label"
        yield (
            f"row {one.row:<9} {word} {_short(one.value)}{loss}; {show.moment(one.added_at)} by "
            f"{one.principal}, {one.source}"
        )


def _feedback(found: RequestTrace) -> Iterator[str]:
    if not found.feedback:
        return
    yield ""
    yield click.style("what people said", bold=True)
    for one in found.feedback:
        said = (one.rating, one.comment, "" if one.correction is None else f"-> {one.correction}")
        yield f"row {one.row:<9} {'  '.join(str(word) for word in said if word)}"


def _facts(facts: dict[str, str]) -> Iterator[str]:
    return (f"{name:<13} {value}" for name, value in facts.items())
