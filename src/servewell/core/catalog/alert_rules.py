"""Rules between the keys below `alerts` of a workload."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from servewell.core.catalog.breach import Breach, Path

PLACE: Final[Path] = ("alerts", "receivers")

# What each kind of receiver cannot do without, and what it is for.
NEEDS: Final[Mapping[str, Mapping[str, str]]] = {
    "webhook": {"url": "where it is sent", "secret": "the key that signs it, `env:NAME`"},
    "email": {
        "host": "the mail server",
        "sender": "from whom the mail is",
        "recipients": "who gets the mail",
    },
    "slack": {"url": "the incoming webhook, `env:NAME`"},
    "teams": {"url": "the webhook of the workflow, `env:NAME`"},
    "pagerduty": {"secret": "the integration key, `env:NAME`"},
    "alertmanager": {"url": "where Alertmanager listens"},
}
SECRET_URLS: Final = frozenset({"slack", "teams"})
OF_EMAIL: Final = ("host", "user", "sender", "recipients", "port")


def alert_breaches(alerts: object) -> Iterator[Breach]:
    """Yield what is wrong between the keys of each receiver."""
    receivers = alerts.get("receivers") if isinstance(alerts, Mapping) else None
    for name, one in receivers.items() if isinstance(receivers, Mapping) else ():
        if isinstance(one, Mapping):
            place = (*PLACE, name)
            yield from _has_what_it_needs(place, one)
            yield from _is_encrypted(place, one)
            yield from _keeps_its_secret(place, one)
            yield from _is_mail(place, one)


def _has_what_it_needs(place: Path, one: Mapping[str, Any]) -> Iterator[Breach]:
    needs = dict(NEEDS.get(str(one.get("to")), {}))
    if one.get("to") == "email" and one.get("user"):
        needs["secret"] = "the password of `user`, `env:NAME`"  # noqa: S105 - says what belongs there
    for key, meaning in needs.items():
        if not one.get(key):
            yield Breach(
                path=(*place, key),
                found="nothing: the key is missing",
                allowed=meaning,
                hint=f"`to: {one['to']}` needs it",
                missing=True,
            )


def _is_encrypted(place: Path, one: Mapping[str, Any]) -> Iterator[Breach]:
    url = one.get("url")
    if isinstance(url, str) and url.startswith("http://") and one.get("unencrypted") is not True:
        yield Breach(
            path=(*place, "url"),
            found="an address without TLS",
            allowed="one that begins with `https://`",
            hint="`unencrypted: true` beside it allows it",
        )


def _keeps_its_secret(place: Path, one: Mapping[str, Any]) -> Iterator[Breach]:
    url = one.get("url")
    if one.get("to") in SECRET_URLS and isinstance(url, str) and url.startswith("http"):
        yield Breach(
            path=(*place, "url"),
            found="an address that is a secret, in clear",
            allowed="`env:NAME` or `file:PATH`, which hold it",
            hint="whoever knows this address can post there",
        )


def _is_mail(place: Path, one: Mapping[str, Any]) -> Iterator[Breach]:
    for key in OF_EMAIL:
        if key in one and one.get("to") in NEEDS and one["to"] != "email":
            yield Breach(
                path=(*place, key),
                found=f"a key of mail beside `to: {one['to']}`",
                allowed="it with `to: email`",
                on_key=True,
            )
