"""Notices to receivers: each kind in its format."""

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import SplitResult

import msgspec

from servewell.adapters.embedded.alerting import formats
from servewell.adapters.embedded.alerting.addresses import Patience, checked_url
from servewell.adapters.embedded.alerting.http import post
from servewell.adapters.embedded.alerting.mail import post_mail
from servewell.adapters.embedded.alerting.masking import said, secrets_of
from servewell.adapters.embedded.alerting.references import resolved
from servewell.core.catalog.workload_alerts import Receiver
from servewell.ports.sinks import Letter, Taken

PAGERDUTY: Final = "https://events.pagerduty.com/v2/enqueue"
ALERTMANAGER: Final = "/api/v2/alerts"
# Whose address is a secret: what they are known to answer, and nothing else of it is kept.
# Source: Slack, "Incoming webhooks: handling errors"; Microsoft, "Create incoming webhooks".
ANSWERS: Final[Mapping[str, frozenset[str]]] = {
    "slack": frozenset(
        {
            "ok",
            "action_prohibited",
            "channel_is_archived",
            "channel_not_found",
            "invalid_blocks",
            "invalid_payload",
            "invalid_token",
            "no_service",
            "no_team",
            "no_text",
            "posting_to_general_channel_denied",
            "rate_limited",
            "team_disabled",
            "too_many_attachments",
            "user_not_found",
        }
    ),
    "teams": frozenset({"1"}),
}


class NetworkSinks:
    """`Sinks` over HTTP and SMTP."""

    def __init__(self, patience: Patience = Patience()) -> None:  # noqa: B008 - a frozen value
        self._patience = patience

    def send(self, receiver: Receiver, letter: Letter, *, folder: str) -> Taken:
        """See `Sinks.send`."""
        secret = resolved(receiver.secret, folder=folder) if receiver.secret else ""
        if receiver.to == "email":
            return post_mail(receiver, letter, password=secret, patience=self._patience)
        referred = receiver.url.startswith(("env:", "file:"))
        address = resolved(receiver.url, folder=folder) if referred else receiver.url
        url = checked_url(address or PAGERDUTY, receiver)
        body, headers = FORMATS[receiver.to](letter, secret)
        if receiver.to == "alertmanager":
            url = _of_alertmanager(url)
        hidden = secrets_of(secret, address if referred else "")
        named = {"X-Servewell-Delivery": letter.id}
        answer = post(
            url,
            body,
            headers={**named, **headers},
            said=partial(said, secrets=hidden, known=ANSWERS.get(receiver.to)),
            patience=self._patience,
        )
        return Taken(answer=answer)


Format = Callable[[Letter, str], tuple[bytes, dict[str, str]]]


def _webhook(letter: Letter, secret: str) -> tuple[bytes, dict[str, str]]:
    body = msgspec.json.encode(formats.webhook(letter))
    at = str(int(letter.sent_at))
    return body, {
        "X-Servewell-Timestamp": at,
        "X-Servewell-Signature": signature(secret, at, body),
    }


def signature(secret: str, at: str, body: bytes) -> str:
    """Return what proves that a webhook is from who has the secret, and when it was sent."""
    return "v1=" + hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256").hex()


def _slack(letter: Letter, _: str) -> tuple[bytes, dict[str, str]]:
    return msgspec.json.encode(formats.slack(letter)), {}


def _teams(letter: Letter, _: str) -> tuple[bytes, dict[str, str]]:
    return msgspec.json.encode(formats.teams(letter)), {}


def _pagerduty(letter: Letter, secret: str) -> tuple[bytes, dict[str, str]]:
    return msgspec.json.encode(formats.pagerduty(letter, key=secret)), {}


def _alertmanager(letter: Letter, secret: str) -> tuple[bytes, dict[str, str]]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return msgspec.json.encode(formats.alertmanager(letter)), headers


FORMATS: Final[Mapping[str, Format]] = {
    "webhook": _webhook,
    "slack": _slack,
    "teams": _teams,
    "pagerduty": _pagerduty,
    "alertmanager": _alertmanager,
}


def _of_alertmanager(url: SplitResult) -> SplitResult:
    path = url.path.rstrip("/")
    return url._replace(path=path if path.endswith(ALERTMANAGER) else path + ALERTMANAGER)
