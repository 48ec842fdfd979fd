"""Who is told of what goes wrong, when, and how."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from servewell.core.catalog.signal import SignalKind
from servewell.core.catalog.workload_values import Name

Reference = Annotated[
    str,
    Meta(
        pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00-\x1f]+)?$",
        extra_json_schema={"patternErrorMessage": "`env:NAME` or `file:PATH`"},
    ),
]
Address = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^@/?#\s]+(/[^@?#\s]*)?|env:[A-Za-z_][A-Za-z0-9_]*"
        r"|file:[^\x00-\x1f]+)?$",
        extra_json_schema={
            "patternErrorMessage": "a URL such as https://hooks.example.org/alerts, without a "
            "user, a password or a query; or `env:NAME` or `file:PATH`, which hold one"
        },
    ),
]
MailAddress = Annotated[str, Meta(pattern=r"^[^\s@<>,;:\x00-\x1f]+@[^\s@<>,;:\x00-\x1f]+$")]
SeverityName = Literal["page", "ticket", "note"]
KindName = Annotated[
    str,
    Meta(
        pattern=f"^({'|'.join(SignalKind)})$",
        extra_json_schema={"patternErrorMessage": ", ".join(f"`{one}`" for one in SignalKind)},
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """What holds for the signals of one kind instead of the default."""

    severity: Annotated[
        SeverityName | None,
        Meta(
            description="How urgent they are: `page`, `ticket` or `note`. Without it: as the "
            "signal says.",
            examples=["ticket"],
        ),
    ] = None
    hold_s: Annotated[
        Annotated[float, Meta(ge=0, le=604_800)] | None,
        Meta(
            description="Seconds that the condition must hold before anybody is told. Without it: "
            "the default of the kind.",
            examples=[600],
        ),
    ] = None
    mute: Annotated[
        bool, Meta(description="Whether no alert is ever made of them.", examples=[True])
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One place that alerts are sent to."""

    to: Annotated[
        Literal["webhook", "email", "slack", "teams", "pagerduty", "alertmanager"],
        Meta(description="What takes them.", examples=["webhook"]),
    ]
    url: Annotated[
        Address,
        Meta(
            description="Where they are sent. A URL that is a secret by itself, as those of Slack "
            "and Teams are, is named by a reference: `env:NAME` or `file:PATH`. Of PagerDuty it "
            "may be left out.",
            examples=["https://hooks.example.org/alerts"],
        ),
    ] = ""
    secret: Annotated[
        Reference,
        Meta(
            description="Where its secret is, never the secret: `env:NAME` or `file:PATH`. For "
            "`webhook` the key that signs, for `pagerduty` the integration key, for `email` the "
            "password of `user`, for `alertmanager` a bearer token.",
            examples=["env:ALERT_KEY"],
        ),
    ] = ""
    severities: Annotated[
        Annotated[tuple[SeverityName, ...], Meta(min_length=1)],
        Meta(description="What it hears of.", examples=[["page"]]),
    ] = ("page", "ticket")
    kinds: Annotated[
        Annotated[tuple[KindName, ...], Meta(min_length=1)] | None,
        Meta(
            description="Kinds of signals that it hears of. Without it: all.",
            examples=[["availability", "latency"]],
        ),
    ] = None
    escalation: Annotated[
        bool,
        Meta(
            description="Whether it hears only of what nobody acknowledged in time.",
            examples=[True],
        ),
    ] = False
    unencrypted: Annotated[
        bool,
        Meta(
            description="Whether it may be sent to without TLS: by `http://`, or by SMTP without "
            "STARTTLS.",
            examples=[True],
        ),
    ] = False
    tries: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How often a delivery is tried before it is a dead letter. The time "
            "between grows from 5 seconds to an hour.",
            examples=[20],
        ),
    ] = 12
    host: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:_-]+$")] | None,
        Meta(description="Mail server, of `email`.", examples=["smtp.example.org"]),
    ] = None
    port: Annotated[
        int, Meta(ge=1, le=65_535, description="TCP port of the mail server.", examples=[25])
    ] = 587
    user: Annotated[
        str, Meta(description="Who logs in to the mail server.", examples=["alerts"])
    ] = ""
    sender: Annotated[
        MailAddress | None,
        Meta(description="From whom the mail is.", examples=["alerts@example.org"]),
    ] = None
    recipients: Annotated[
        tuple[MailAddress, ...],
        Meta(description="Who gets the mail.", examples=[["oncall@example.org"]]),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """What becomes of signals. Nothing must be written to get the useful alerts."""

    kinds: Annotated[
        dict[KindName, KindRule],
        Meta(description="What holds for signals of a kind instead of the default."),
    ] = field(default_factory=dict)
    resolve_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=604_800,
            description="Seconds for which a condition must be gone before its alert resolves. "
            "They double each time that it returns within an hour.",
            examples=[600],
        ),
    ] = 300.0
    escalate_after_s: Annotated[
        float,
        Meta(
            ge=60,
            le=604_800,
            description="Seconds after which a page that nobody acknowledged is told again, and "
            "to those with `escalation`; at most three times. A ticket waits a day.",
            examples=[1_800],
        ),
    ] = 900.0
    receivers: Annotated[
        dict[Name, Receiver],
        Meta(
            description="Who is told, by a name of your choice. Without any, alerts are kept and "
            "shown.",
        ),
    ] = field(default_factory=dict)
