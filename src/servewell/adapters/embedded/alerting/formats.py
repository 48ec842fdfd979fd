"""A notice in the published formats of those who take it: pure, JSON values out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from servewell.core.catalog.alert import Alert, AlertState, Notice
from servewell.core.catalog.model import digest_of
from servewell.core.catalog.signal import Severity
from servewell.core.operations.monitoring.alerts_words import headline, lines, paragraphs, title
from servewell.ports.sinks import Letter

Json = dict[str, Any]

ALERTS_SHOWN: Final = 20  # of a notice, in chats; the others are counted
SLACK_HEAD: Final = 150  # characters that a header may have
SLACK_TEXT: Final = 3_000  # characters that a section may have
TEAMS_TEXT: Final = 1_000
TEAMS_BYTES: Final = 24_000  # Teams refuses more than 28 KB, with what it wraps around them
# How many alerts are shown, and how many of these with what is known of them: what fits first.
TEAMS_SHOWN: Final = (
    (ALERTS_SHOWN, ALERTS_SHOWN),
    (ALERTS_SHOWN, 5),
    (ALERTS_SHOWN, 1),
    (5, 1),
    (1, 0),
)
SUMMARY: Final = 1_024  # characters that PagerDuty takes
STANDS_S: Final = (
    300.0  # for which Alertmanager believes an alert: it is told each minute that stands
)

PAGERDUTY_SEVERITY: Final[Mapping[Severity, str]] = {
    Severity.PAGE: "critical",
    Severity.TICKET: "warning",
    Severity.NOTE: "info",
}
ENDED: Final = frozenset({AlertState.RESOLVED, AlertState.DROPPED})


def webhook(letter: Letter) -> Json:
    """Return a notice as our own JSON, documented in `docs/guides/alerts.md`."""
    notice = letter.notice
    return {
        "id": letter.id,
        "source": letter.source,
        "at": _rfc3339(notice.at),
        "reason": str(notice.reason),
        "severity": str(notice.severity),
        "endpoint": notice.group,
        "title": title(notice),
        "missed_from": None if notice.missed_from is None else _rfc3339(notice.missed_from),
        "alerts": [_alert(one, notice) for one in notice.alerts],
        "standing": [_alert(one, notice) for one in notice.standing],
    }


def slack(letter: Letter) -> Json:
    """Return a notice as blocks of an incoming webhook.

    Source: Slack, "Block Kit": a header of at most 150 characters, sections of at most 3,000.
    """
    notice = letter.notice
    text = title(notice)
    sections = [
        {"type": "section", "text": {"type": "mrkdwn", "text": _slack_section(head, below)}}
        for head, below in paragraphs(notice)[:ALERTS_SHOWN]
    ]
    header = {"type": "plain_text", "text": _cut(text, SLACK_HEAD)}
    return {
        "text": _slack_escaped(_cut(text, SLACK_TEXT)),
        "blocks": [{"type": "header", "text": header}, *sections, *_slack_rest(notice)],
    }


def teams(letter: Letter) -> Json:
    """Return a notice as an Adaptive Card for the webhook of a workflow, as much of it as fits.

    Source: Microsoft, "Create incoming webhooks with Workflows"; Adaptive Cards 1.4.
    """
    cards = (_card(letter.notice, shown, told) for shown, told in TEAMS_SHOWN)
    card = next((one for one in cards if len(msgspec.json.encode(one)) <= TEAMS_BYTES), None)
    kind = "application/vnd.microsoft.card.adaptive"
    content = card or _card(letter.notice, *TEAMS_SHOWN[-1])
    attachment = {"contentType": kind, "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


def _card(notice: Notice, shown: int, told: int) -> Json:
    body: list[Json] = [_text_block(title(notice), weight="Bolder", size="Medium")]
    for place, (head, below) in enumerate(paragraphs(notice)[:shown]):
        body.append(_text_block(head, weight="Bolder"))
        body += [_facts(below)] if place < told else []
    body += [_text_block(one) for one in _rest(notice, shown)]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }


def pagerduty(letter: Letter, *, key: str) -> Json:
    """Return a notice as an event; an endpoint has one incident, which ends with its last alert.

    Source: PagerDuty, "Events API v2": `/v2/enqueue`.
    """
    notice = letter.notice
    action = _action(notice)
    home = digest_of(letter.source.encode()).rpartition(":")[2][:12]
    event: Json = {
        "routing_key": key,
        "event_action": action,
        "dedup_key": f"servewell/{home}/{notice.group or 'home'}",
    }
    return event if action != "trigger" else {**event, **_pagerduty_event(letter)}


def alertmanager(letter: Letter) -> list[Json]:
    """Return the alerts of a notice, and the others that stand, for `/api/v2/alerts`.

    Source: Alertmanager, `api/v2/openapi.yaml`, `postableAlerts`.
    """
    notice, at = letter.notice, letter.notice.at
    found = [_posted(one, one.severity, at, letter) for one in (*notice.alerts, *notice.standing)]
    old = [
        {**_posted(one, was, at, letter), "endsAt": _rfc3339(at)}
        for one in notice.alerts
        for was in dict.fromkeys((one.told_severity, one.heard))
        if was not in (None, one.severity)
    ]
    return [*found, *old]


def _alert(alert: Alert, notice: Notice) -> Json:
    signal = alert.signal
    return {
        "id": alert.id,
        "key": alert.key,
        "state": str(alert.state),
        "reason": None if alert.tell is None else str(alert.tell),
        "severity": str(alert.severity),
        "kind": str(signal.kind),
        "endpoint": signal.endpoint,
        "deployment": signal.deployment,
        "subject": signal.subject,
        "what": signal.what,
        "because": signal.because,
        "since": _rfc3339(signal.since),
        "ended": None if alert.ended_at is None else _rfc3339(alert.ended_at),
        "value": signal.value,
        "bound": signal.bound,
        "change": None if alert.change is None else msgspec.to_builtins(alert.change),
        "explains": list(notice.folded.get(alert.key, ())),
        "acknowledged_by": alert.acknowledged_by,
        "points": msgspec.to_builtins(signal.points),
        "distributions": msgspec.to_builtins(signal.distributions),
        "runbook": signal.runbook,
        "next": signal.command,
    }


def _slack_section(head: str, below: Sequence[str]) -> str:
    text = "\n".join((f"*{_slack_escaped(head)}*", *map(_slack_escaped, below)))
    return _slack_cut(text)


def _slack_cut(text: str) -> str:
    """Return a text that was escaped, with no half of an escape at its end."""
    if len(text) <= SLACK_TEXT:
        return text
    head, mark, tail = text[: SLACK_TEXT - 1].rpartition("&")
    whole = f"{head}{mark}{tail}" if ";" in tail or not mark else head
    return f"{whole}…"


def _slack_rest(notice: Notice) -> list[Json]:
    rest = _rest(notice, ALERTS_SHOWN)
    return [{"type": "section", "text": {"type": "mrkdwn", "text": one}} for one in rest]


def _slack_escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _rest(notice: Notice, shown: int) -> list[str]:
    more = len(notice.alerts) - shown
    return [f"{more:,} more: `servewell alerts list` shows them."] if more > 0 else []


def _text_block(text: str, **style: str) -> Json:
    return {"type": "TextBlock", "text": _cut(text, TEAMS_TEXT), "wrap": True, **style}


def _facts(below: Sequence[str]) -> Json:
    pairs = [one.partition(": ") for one in below]
    return {
        "type": "FactSet",
        "facts": [{"title": name, "value": _cut(text, TEAMS_TEXT)} for name, _, text in pairs],
    }


def _action(notice: Notice) -> str:
    """Return what becomes of the incident of an endpoint."""
    states = {one.state for one in (*notice.alerts, *notice.standing)}
    if AlertState.FIRING in states:
        return "trigger"
    return "acknowledge" if AlertState.ACKNOWLEDGED in states else "resolve"


def _pagerduty_event(letter: Letter) -> Json:
    notice = letter.notice
    first = notice.alerts[0].signal
    firing = [one for one in (*notice.alerts, *notice.standing) if one.state not in ENDED]
    return {
        "client": "Servewell",
        "payload": {
            "summary": _cut(title(notice), SUMMARY),
            "source": letter.source.partition(":")[0],
            "severity": PAGERDUTY_SEVERITY[notice.severity],
            "timestamp": _rfc3339(first.since),
            "component": first.deployment or first.subject,
            "group": notice.group or "home",
            "class": str(first.kind),
            "custom_details": {
                headline(one): lines(one, now=notice.at, explains=notice.folded.get(one.key, ()))
                for one in firing[:ALERTS_SHOWN]
            },
        },
    }


def _posted(alert: Alert, severity: Severity, at: float, letter: Letter) -> Json:
    signal = alert.signal
    labels = {
        "alertname": f"Servewell{str(signal.kind).capitalize()}",
        "severity": str(severity),
        "kind": str(signal.kind),
        "endpoint": signal.endpoint,
        "deployment": signal.deployment,
        "subject": signal.subject,
        "instance": letter.source,
    }
    told = {
        "summary": signal.what,
        "description": "\n".join(lines(alert, now=at)),
        "runbook": signal.runbook and f"servewell alerts runbook {signal.runbook}",
    }
    ended = alert.ended_at if alert.state in ENDED and alert.ended_at else letter.sent_at + STANDS_S
    return {
        "labels": {name: text for name, text in labels.items() if text},
        "annotations": {name: text for name, text in told.items() if text},
        "startsAt": _rfc3339(min(signal.since, ended)),
        "endsAt": _rfc3339(ended),
    }


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
