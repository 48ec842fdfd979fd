"""What a workload may say of its receivers."""

from typing import Any

import msgspec
import pytest

from servewell.core.catalog.signal import SignalKind
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_alerts import AlertRules, KindRule
from servewell.core.catalog.workload_rules import breaches, dotted
from servewell.core.operations.monitoring.alerts_home import home_rules
from servewell.core.operations.monitoring.alerts_moves import HOLD_S

GOOD: dict[str, Any] = {
    "kinds": {"drift": {"severity": "note", "hold_s": 600}, "anomaly": {"mute": True}},
    "receivers": {
        "oncall": {"to": "pagerduty", "secret": "env:PD_KEY", "severities": ["page"]},
        "team": {"to": "slack", "url": "env:SLACK_URL"},
        "boss": {
            "to": "email",
            "host": "smtp.example.org",
            "sender": "alerts@example.org",
            "recipients": ["boss@example.org"],
            "escalation": True,
        },
        "own": {"to": "webhook", "url": "https://hooks.example.org/x", "secret": "file:key"},
        "local": {"to": "alertmanager", "url": "http://127.0.0.1:9093", "unencrypted": True},
    },
}


def written(alerts: dict[str, Any]) -> dict[str, Any]:
    """Return a workload file with these alerts."""
    return {"workload": "flights", "artifact": {"path": "model.onnx"}, "alerts": alerts}


def faults(receiver: dict[str, Any]) -> list[str]:
    """Return the keys that are at fault in a receiver."""
    found = breaches(written({"receivers": {"r": receiver}}))
    return sorted(dotted(one.path).removeprefix("alerts.receivers.r.") for one in found)


def test_a_workload_may_name_receivers_of_every_kind() -> None:
    """The file is good, and is read as what it says."""
    assert breaches(written(GOOD)) == ()
    read = msgspec.convert(written(GOOD), type=Workload)
    assert read.alerts.kinds["drift"].hold_s == 600
    assert read.alerts.receivers["boss"].escalation
    again = msgspec.convert(msgspec.to_builtins(read), type=Workload)
    assert again == read


@pytest.mark.parametrize(
    ("receiver", "keys"),
    [
        ({"to": "webhook"}, ["secret", "url"]),
        ({"to": "email"}, ["host", "recipients", "sender"]),
        ({"to": "slack", "url": "https://hooks.slack.com/services/x"}, ["url"]),
        ({"to": "webhook", "url": "http://x/y", "secret": "env:K"}, ["url"]),
        ({"to": "webhook", "url": "https://x/?token=abc", "secret": "env:K"}, ["url"]),
        ({"to": "webhook", "url": "https://x/y", "secret": "correct horse"}, ["secret"]),
        ({"to": "pagerduty", "secret": "env:K", "host": "x"}, ["host"]),
        ({"to": "pager", "secret": "env:K"}, ["to"]),
        ({"to": "pagerduty", "secret": "env:K", "severities": ["fatal"]}, ["severities[0]"]),
        ({"to": "pagerduty", "secret": "env:K", "kinds": []}, ["kinds"]),
        (
            {
                "to": "email",
                "host": "h",
                "sender": "a@b.org",
                "recipients": ["x@y.org\r\nBcc: z"],
                "user": "u",
            },
            ["recipients[0]", "secret"],
        ),
    ],
)
def test_each_fault_of_a_receiver_is_named(receiver: dict[str, Any], keys: list[str]) -> None:
    """All of them at once, by their keys; what looks like a secret is refused."""
    assert faults(receiver) == keys


def test_an_unknown_kind_is_named() -> None:
    """A rule for a kind of signal that does not exist is no rule."""
    (fault,) = breaches(written({"kinds": {"latencies": {"mute": True}}}))
    assert "`latency`" in fault.allowed


def test_what_is_about_the_home_follows_the_most_severe_rules() -> None:
    """Those of the one workload there is; of several none can hide what another asks for."""
    quiet = AlertRules(
        kinds={"room": KindRule(mute=True), "serving": KindRule(severity="note", hold_s=600)},
        resolve_after_s=60,
    )
    loud = AlertRules(kinds={"serving": KindRule(severity="page")}, escalate_after_s=60)
    assert home_rules([quiet]) is quiet
    assert home_rules([quiet, quiet]).kinds["room"].mute
    both = home_rules([quiet, loud, AlertRules()])
    assert not both.kinds["room"].mute
    assert both.kinds["serving"] == KindRule(severity="page", hold_s=HOLD_S[SignalKind.SERVING])
    assert (both.resolve_after_s, both.escalate_after_s) == (300, 60)
    assert home_rules([quiet, AlertRules()]).kinds["serving"].severity is None
