"""`servewell keys`: who may call."""

import re
from dataclasses import asdict
from typing import Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.core.catalog.key import EVERY_ENDPOINT, ApiKey, Role
from servewell.core.catalog.limits import Limits, Priority
from servewell.core.security.key_change import OVERLAP_S, KeyDecision, KeyRequest
from servewell.flows.keys import IssuedKey, create_key, revoke_key, rotate_key

SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
RATE: Final = click.FloatRange(min=0, min_open=True, max=1e9)
QUOTA: Final = click.IntRange(min=1, max=10**12)
LIMITS: Final = {  # name -> how it is told beside its number
    "requests_per_s": "req/s",
    "rows_per_s": "rows/s",
    "requests_per_day": "req/day",
    "rows_per_day": "rows/day",
}
DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])")


class Duration(click.ParamType[float]):
    """A length of time like `30m`, `12h` or `90d`, in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        found = DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"`{value}` is no length of time; write it like 30m, 12h or 90d", param, ctx)
        return float(int(found[1]) * SECONDS[found[2]])


@click.group
def keys() -> None:
    """Make, list, rotate and revoke API keys."""


@keys.command
@click.argument("principal")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    help="An endpoint that it reaches; default: the only one there is.",
    shell_complete=endpoint_names,
)
@click.option("--every-endpoint", is_flag=True, help="It reaches all, also those still to come.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.INVOKER.value,
    show_default=True,
    help="invoker: predictions, metadata and feedback; feedback: that alone; reader: metadata; "
    "operator: also metrics.",
)
@click.option("--expires", type=Duration(), metavar="TIME", help="Good for so long, like 90d.")
@click.option(
    "--certificate",
    default="",
    metavar="IDENTITY",
    help="The identity in a client certificate stands for it: a URI, DNS name or common name.",
)
@click.option(
    "--priority",
    type=click.Choice([one.value for one in Priority]),
    default=Priority.NORMAL.value,
    show_default=True,
    help="The highest that its requests may have where there is more to do than can be done.",
)
@click.option("--requests-per-s", type=RATE, metavar="N", help="Requests a second, at most.")
@click.option("--rows-per-s", type=RATE, metavar="N", help="Rows a second, at most.")
@click.option("--requests-per-day", type=QUOTA, metavar="N", help="Requests a day of UTC.")
@click.option("--rows-per-day", type=QUOTA, metavar="N", help="Rows a day of UTC.")
@dry_run
@command
def create(  # noqa: PLR0913 - the words of the command
    session: Session,
    principal: str,
    *,
    endpoints: tuple[str, ...],
    every_endpoint: bool,
    role: str,
    expires: float | None,
    certificate: str,
    priority: str,
    requests_per_s: float | None,
    rows_per_s: float | None,
    requests_per_day: int | None,
    rows_per_day: int | None,
    dry_run: bool,
) -> int:
    """Make a key for PRINCIPAL, the person or program that will hold it. It is shown once.

    With --certificate there is no key to show: who connects with a client certificate of that
    identity is PRINCIPAL.

    Example: servewell keys create booking-site --endpoint flight-delays --expires 90d
    """
    reached = (EVERY_ENDPOINT,) if every_endpoint else _reached(session, endpoints)
    request = KeyRequest(
        principal=principal,
        role=Role(role),
        endpoints=reached,
        lifetime_s=expires,
        certificate=certificate,
        priority=Priority(priority),
        limits=Limits(
            requests_per_s=requests_per_s,
            rows_per_s=rows_per_s,
            requests_per_day=requests_per_day,
            rows_per_day=rows_per_day,
        ),
    )
    return _say_issued(session, create_key(session.platform, request, dry_run=dry_run), dry_run)


def _reached(session: Session, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the endpoints named, each of which exists, or the only one there is."""
    if named:
        return tuple(session.platform.endpoints.get(name).name for name in named)
    found = session.platform.endpoints.list()
    if len(found) != 1:
        raise click.UsageError(
            f"there are {len(found)} endpoints; say which it reaches with --endpoint NAME, or "
            "--every-endpoint"
        )
    return (found[0].name,)


@keys.command("list")
@command
def list_(session: Session) -> int:
    """List the keys, without what opens anything.

    Example: servewell keys list
    """
    found = session.platform.keys.list()
    if session.as_json:
        show.as_json([_public(key) for key in found])
        return 0
    now = session.platform.clock.now()
    rows = [
        (
            key.id,
            f"{key.principal} ({key.certificate})" if key.certificate else key.principal,
            key.role,
            ", ".join(key.endpoints),
            _limits(key),
            show.moment(key.created_at),
            _state(key, now),
        )
        for key in found
    ]
    heads = ("id", "principal", "role", "endpoints", "limits", "created", "state")
    show.table(heads, rows, empty="No key yet. `servewell keys create PRINCIPAL` makes one.")
    return 0


@keys.command
@click.argument("key_id")
@click.option(
    "--overlap",
    type=Duration(),
    default=OVERLAP_S,
    metavar="TIME",
    help="How long the old key stays good; default 1d.",
)
@dry_run
@command
def rotate(session: Session, key_id: str, *, overlap: float, dry_run: bool) -> int:
    """Make a key that replaces KEY_ID; both are good for the overlap.

    Example: servewell keys rotate LuDEHdk09jM --overlap 12h
    """
    issued = rotate_key(session.platform, key_id, overlap_s=overlap, dry_run=dry_run)
    return _say_issued(session, issued, dry_run)


@keys.command
@click.argument("key_id")
@dry_run
@command
def revoke(session: Session, key_id: str, *, dry_run: bool) -> int:
    """End KEY_ID now.

    Example: servewell keys revoke LuDEHdk09jM
    """
    decision = revoke_key(session.platform, key_id, dry_run=dry_run)
    if session.as_json:
        show.as_json({"because": decision.because, "carried_out": not dry_run})
    else:
        click.echo(_would(decision, dry_run=dry_run))
    return 0


def _say_issued(session: Session, issued: IssuedKey, dry_run: bool) -> int:
    shown = None if dry_run else issued.key or None
    if session.as_json:
        value = {
            "key": shown,
            "because": issued.decision.because,
            "carried_out": not dry_run,
            "behind": issued.behind,
        }
        show.as_json({**value, **_public(issued.kept)})
        return 0
    click.echo(_would(issued.decision, dry_run=dry_run), err=True)
    for index in issued.behind:
        click.echo(f"worker {index} does not know it yet; `servewell status` says why", err=True)
    if shown:
        click.echo(shown)
        click.echo("shown this once; only a digest of it is kept", err=True)
    return 0


def _would(decision: KeyDecision, *, dry_run: bool) -> str:
    return f"would be done: {decision.because}" if dry_run else decision.because


def _state(key: ApiKey, now: float) -> str:
    if key.revoked_at is not None:
        return f"revoked {show.moment(key.revoked_at)}"
    if key.expires_at is not None:
        word = "expired" if key.expires_at <= now else "until"
        return f"{word} {show.moment(key.expires_at)}"
    return "good"


def _limits(key: ApiKey) -> str:
    """Return what a key is held to, in a few words; `-` where it is held to nothing of its own."""
    told = [
        f"{value:,.12g} {words}"
        for name, words in LIMITS.items()
        if (value := getattr(key.limits, name)) is not None
    ]
    if key.priority is not Priority.NORMAL:
        told.append(f"{key.priority.value} priority")
    return ", ".join(told) or "-"


def _public(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "principal": key.principal,
        "role": key.role,
        "endpoints": key.endpoints,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "replaced_by": key.replaced_by,
        "certificate": key.certificate,
        "priority": key.priority,
        "limits": {name: value for name, value in asdict(key.limits).items() if value is not None},
    }
