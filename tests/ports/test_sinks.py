"""The contract of `Sinks`: real receivers, that take, refuse, hang, and lead elsewhere."""

import email
import email.policy
import hashlib
import hmac
import math
import re
import socket
import ssl
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest

from ports.alert_receivers import T0, Hook, hook, notice, post_office
from servewell.adapters.embedded.alerting import formats
from servewell.adapters.embedded.alerting.addresses import Patience, is_forbidden
from servewell.adapters.embedded.alerting.masking import masked, secrets_of
from servewell.adapters.embedded.alerting.sinks import NetworkSinks
from servewell.core.catalog.alert import AlertState, Reason
from servewell.core.catalog.signal import Severity
from servewell.core.catalog.workload_alerts import Receiver
from servewell.ports.sinks import (
    DeliveryFailedError,
    Letter,
    ReceiverAddressError,
    SecretReferenceError,
    Sinks,
    Taken,
)
from serving.issued import Issued

pytestmark = pytest.mark.enable_socket
SECRET = "correct horse"  # noqa: S105 - of a test
LETTER = Letter(
    id="d1", source="host:home", sent_at=T0, notice=notice(), page="<!doctype html><p>plots</p>"
)


@pytest.fixture(params=[pytest.param(NetworkSinks, id="network")])
def sinks(request: pytest.FixtureRequest) -> Sinks:
    """Each adapter in turn."""
    made: Sinks = request.param()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Return a folder with a secret in a file."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return str(tmp_path)


def to(kind: str, server: Hook, **more: object) -> Receiver:
    """Return a receiver without TLS."""
    made = {"url": server.url, "unencrypted": True, "secret": "file:secret", **more}
    return Receiver(to=kind, **made)  # type: ignore[arg-type]  # checked by each test


def test_a_webhook_is_signed_so_that_anybody_can_check(sinks: Sinks, folder: str) -> None:
    """The check of the guide accepts it; the body says everything, and the id comes again."""
    with hook() as server:
        for _ in range(2):
            assert sinks.send(to("webhook", server), LETTER, folder=folder).answer == "200 ok"
    first, second = server.taken
    at, shown = (first.headers[f"x-servewell-{one}"] for one in ("timestamp", "signature"))
    good = hmac.new(SECRET.encode(), f"{at}.".encode() + first.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(shown, f"v1={good}")
    assert first.headers["x-servewell-delivery"] == second.headers["x-servewell-delivery"] == "d1"
    (alert,) = first.value["alerts"]
    assert alert["what"].startswith("The slowest")
    assert alert["next"] == "servewell rollback flights"
    assert alert["points"][0]["values"] == [90.0, 300.0]
    assert alert["explains"] == ["Requests are unusually few."]


def test_slack_gets_blocks_within_its_bounds(
    sinks: Sinks, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header, a section for each alert, what its mark-up would take as its own escaped."""
    with hook() as server:
        monkeypatch.setenv("SLACK_URL", f"{server.url}/services/T/B/{'x' * 24}")
        receiver = to("slack", server, url="env:SLACK_URL", secret="")
        assert sinks.send(receiver, LETTER, folder=folder).answer == "200 ok"
    (taken,) = server.taken
    assert taken.path.startswith("/services/T/B/")
    header, section = taken.value["blocks"]
    assert header["text"]["type"] == "plain_text"
    assert len(header["text"]["text"]) <= 150
    assert "&lt;300 ms&gt; &amp; more" in section["text"]["text"]
    assert "next: servewell rollback flights" in section["text"]["text"]


def test_teams_gets_an_adaptive_card(sinks: Sinks, folder: str) -> None:
    """As the webhook of a workflow takes it."""
    with hook() as server:
        server.status, server.answer = 202, b""
        receiver = to("teams", server, url="file:address")
        Path(folder, "address").write_text(f"{server.url}/workflows/1?sig=abc")
        assert sinks.send(receiver, LETTER, folder=folder).answer == "202"
    (taken,) = server.taken
    assert taken.path == "/workflows/1?sig=abc"
    (attachment,) = taken.value["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    facts = {one["title"]: one["value"] for part in card["body"] for one in part.get("facts", ())}
    assert facts["next"] == "servewell rollback flights"


@pytest.mark.parametrize(
    ("state", "reason", "action"),
    [
        (AlertState.FIRING, Reason.FIRED, "trigger"),
        (AlertState.FIRING, Reason.ESCALATED, "trigger"),
        (AlertState.ACKNOWLEDGED, Reason.ACKNOWLEDGED, "acknowledge"),
        (AlertState.RESOLVED, Reason.RESOLVED, "resolve"),
    ],
)
def test_pagerduty_keeps_one_incident_of_an_endpoint(
    sinks: Sinks, folder: str, *, state: AlertState, reason: Reason, action: str
) -> None:
    """The same key from the trigger to the end; the integration key comes from the reference."""
    told = notice(state=state, tell=reason, ended_at=T0 if state is AlertState.RESOLVED else None)
    letter = Letter(id="d", source="host:home", sent_at=T0, notice=told, page="")
    with hook() as server:
        server.status, server.answer = 202, b'{"status":"success"}'
        sinks.send(to("pagerduty", server), letter, folder=folder)
    (taken,) = server.taken
    assert taken.value["event_action"] == action
    assert taken.value["dedup_key"].endswith("/flights")
    assert taken.value["routing_key"] == SECRET
    if action == "trigger":
        payload = taken.value["payload"]
        assert (payload["severity"], payload["source"]) == ("critical", "host")
        assert {"summary", "source", "severity"} <= set(payload)


def _many(count: int, what: str) -> Letter:
    first = LETTER.notice.alerts[0]
    alert = replace(first, signal=replace(first.signal, what=what, because=what))
    return replace(LETTER, notice=replace(LETTER.notice, alerts=(alert,) * count))


def test_teams_gets_no_more_than_it_takes() -> None:
    """What is known of the later alerts is left out first, then alerts, and they are counted."""
    for count, what in ((3, "é" * 300), (30, "é" * 300), (30, "é" * 5_000)):
        made = formats.teams(_many(count, what))
        assert len(msgspec.json.encode(made)) < 25_000
        body = made["attachments"][0]["content"]["body"]
        shown = sum(one.get("text", "").startswith("é") for one in body)
        assert shown == count or f"{count - shown} more:" in body[-1]["text"]
    assert shown >= 1


def test_slack_gets_no_half_of_an_escape() -> None:
    """Wherever a long text is cut."""
    for length in range(2_960, 3_010):
        section = formats.slack(_many(1, "x" * (length // 2) + "&<>" * 600))["blocks"][1]
        text = section["text"]["text"]
        assert len(text) <= 3_000
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)


def test_alertmanager_gets_alerts_that_end(sinks: Sinks, folder: str) -> None:
    """What fires ends soon unless it is told again; what resolved, or got worse, ends as it was."""
    worse = notice(severity=Severity.PAGE, told_severity=Severity.TICKET)
    with hook() as server:
        for told in (worse, notice(state=AlertState.RESOLVED, ended_at=T0, tell=Reason.RESOLVED)):
            letter = Letter(id="d", source="host:home", sent_at=T0, notice=told, page="")
            sinks.send(to("alertmanager", server), letter, folder=folder)
    firing, ended = server.taken
    assert firing.path == "/api/v2/alerts"
    assert firing.headers["authorization"] == f"Bearer {SECRET}"
    now, before = firing.value
    assert now["labels"]["severity"] == "page"
    assert now["labels"]["alertname"] == "ServewellLatency"
    assert now["endsAt"] > now["startsAt"]
    assert before["labels"]["severity"] == "ticket"
    assert before["endsAt"] == ended.value[0]["endsAt"] < now["endsAt"]
    ends = datetime.fromisoformat(now["endsAt"]).timestamp()
    assert ends == T0 + 300


def test_a_date_that_no_calendar_has_is_no_wish(sinks: Sinks, folder: str) -> None:
    """Whatever `Retry-After` holds, it ends as a failure like any other."""
    with hook() as server:
        server.status = 503
        for asked in (f"Mon, 01 Jan 2024 00:00:00 +{'9' * 17}", "9" * 400, "soon"):
            server.headers = {"Retry-After": asked}
            with pytest.raises(DeliveryFailedError) as caught:
                sinks.send(to("webhook", server), LETTER, folder=folder)
            assert caught.value.retry_after_s in (0.0, math.inf)


@pytest.mark.parametrize(("status", "asked"), [(500, 0), (429, 30), (404, 0)])
def test_what_a_receiver_refuses_has_failed(
    sinks: Sinks, folder: str, *, status: int, asked: int
) -> None:
    """The answer is said, and what it asks to wait."""
    with hook() as server:
        server.status, server.answer = status, f"no, {SECRET}\n\x1b[31m".encode()
        server.headers = {"Retry-After": str(asked)} if asked else {}
        with pytest.raises(DeliveryFailedError) as caught:
            sinks.send(to("webhook", server), LETTER, folder=folder)
    assert caught.value.retry_after_s == asked
    assert f"it answered {status}" in caught.value.why
    assert SECRET not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("kind", ["webhook", "slack", "teams"])
def test_no_part_of_a_secret_address_is_repeated(sinks: Sinks, folder: str, *, kind: str) -> None:
    """A receiver that has no such page quotes the path, a piece of it, or what it was asked."""
    token, signed = "XyZ0123456789abc", "s%2FgN4tur3e"
    with hook() as server:
        server.status = 404
        Path(folder, "address").write_text(f"{server.url}/services/T0/B0/{token}?sig={signed}")
        receiver = to(kind, server, url="file:address")
        for answer in (f"Cannot POST /services/T0/B0/{token}", token, "s/gN4tur3e", signed):
            server.answer = f"{answer} is not here".encode()
            with pytest.raises(DeliveryFailedError) as caught:
                sinks.send(receiver, LETTER, folder=folder)
            assert "it answered 404" in caught.value.why
            assert ("is not here" in caught.value.why) is (kind == "webhook")
            assert not [one for one in (token, signed, "gN4tur3e") if one in caught.value.why]


def test_a_secret_is_masked_before_an_answer_is_cut() -> None:
    """The longest first: a whole address is one mark, and half of a secret is no secret left."""
    secrets = secrets_of("k", "https://h.example.org/services/T0/B0/XyZ0123456789abc")
    assert masked("no https://h.example.org/services/T0/B0/XyZ0123456789abc", secrets) == "no …"
    assert masked("POST /services/T0/B0/XyZ0123456789abc", secrets) == "POST /…"
    assert secrets_of("", "") == ()


def test_a_redirect_is_not_followed(sinks: Sinks, folder: str) -> None:
    """Whoever answers for a receiver cannot send its alerts, and its signature, elsewhere."""
    with hook() as server, hook() as elsewhere:
        server.status, server.headers = 307, {"Location": elsewhere.url}
        with pytest.raises(DeliveryFailedError, match="did not take") as caught:
            sinks.send(to("webhook", server), LETTER, folder=folder)
    assert "a redirect is not followed" in caught.value.why
    assert elsewhere.taken == []


def test_only_tls_unless_declared(sinks: Sinks, folder: str) -> None:
    """Neither a literal address nor one behind a reference is sent to in clear."""
    with hook() as server:
        Path(folder, "address").write_text(server.url)
        for url in (server.url, "file:address"):
            with pytest.raises(ReceiverAddressError):
                sinks.send(to("webhook", server, url=url, unencrypted=False), LETTER, folder=folder)
    assert server.taken == []


@pytest.mark.parametrize("address", ["ftp://x/", "http://", "http://a:b@c/", "http://[::1", "x y"])
def test_what_is_no_address_is_not_sent_to(sinks: Sinks, folder: str, address: str) -> None:
    """Whatever a reference refers to is checked, and not repeated: it may be a secret."""
    Path(folder, "address").write_text(address)
    receiver = Receiver(to="slack", url="file:address", unencrypted=True)
    with pytest.raises(ReceiverAddressError) as caught:
        sinks.send(receiver, LETTER, folder=folder)
    assert address not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("fe80::1", True),
        ("168.63.129.16", True),
        ("fd00:ec2::254", True),
        ("224.0.0.1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("2001:db8::1", False),
    ],
)
def test_nothing_is_sent_to_where_a_cloud_answers(address: str, *, forbidden: bool) -> None:
    """The addresses that hand out a machine's credentials; those of a company's net are allowed."""
    assert is_forbidden(ip_address(address)) is forbidden


def test_an_answer_that_hangs_or_trickles_is_given_up(folder: str) -> None:
    """A receiver that never answers, and one that sends a byte now and then, hold nothing up."""
    impatient = NetworkSinks(Patience(answer_s=0.3, whole_s=0.6))
    with hook() as server:
        server.go.clear()
        with pytest.raises(DeliveryFailedError) as caught:
            impatient.send(to("webhook", server), LETTER, folder=folder)
        assert caught.value.why == "it did not answer in time"
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        trickling = thread.submit(_trickle, listener)
        receiver = Receiver(
            to="webhook",
            url=f"http://127.0.0.1:{listener.getsockname()[1]}",
            unencrypted=True,
            secret="file:secret",  # noqa: S106 - where it is
        )
        with pytest.raises(DeliveryFailedError):
            impatient.send(receiver, LETTER, folder=folder)
        assert trickling.result() < 50


def _trickle(listener: socket.socket) -> int:
    """Answer a byte at a time; return how many were taken."""
    connection, _ = listener.accept()
    sent = 0
    with connection, suppress(OSError):
        connection.recv(65_536)
        for sent in range(50):  # noqa: B007 - told after it
            connection.sendall(b"H"[:1])
            time.sleep(0.1)
    return sent


def test_a_secret_that_is_not_there_is_said(sinks: Sinks, folder: str) -> None:
    """By the name of the variable or the file, which is no secret."""
    with hook() as server:
        for reference in ("env:SERVEWELL_NO_SUCH", "file:missing"):
            with pytest.raises(SecretReferenceError, match=reference.partition(":")[2]):
                sinks.send(to("webhook", server, secret=reference), LETTER, folder=folder)
    assert server.taken == []


def test_a_secret_that_cannot_be_sent_is_not_repeated(sinks: Sinks, folder: str) -> None:
    """What the libraries refuse, they quote; it ends as a failure without it."""
    Path(folder, "odd").write_text(f"{SECRET}\r\nx: y ü")
    with hook() as server, post_office() as post:
        mail = mail_to(post.port, unencrypted=True, user="anna", secret="file:odd")  # noqa: S106 - where it is
        for receiver in (to("alertmanager", server, secret="file:odd"), mail):  # noqa: S106 - where it is
            with pytest.raises(DeliveryFailedError) as caught:
                sinks.send(receiver, LETTER, folder=folder)
            assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_nobody_listens(sinks: Sinks, folder: str) -> None:
    """A receiver that is down has not taken it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for kind in ("webhook", "email"):
        receiver = Receiver(
            to=kind,  # type: ignore[arg-type]  # one of them
            url=f"http://127.0.0.1:{port}",
            unencrypted=True,
            host="127.0.0.1",
            port=port,
            sender="a@example.org",
            recipients=("b@example.org",),
        )
        with pytest.raises(DeliveryFailedError) as caught:
            sinks.send(receiver, LETTER, folder=folder)
        assert caught.value.why == "nothing listens there"


def test_a_certificate_is_checked(
    sinks: Sinks, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver with a certificate that nobody signed gets nothing; with a good one it does."""
    ours = Issued.authority()
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(*ours.server("localhost").write(tmp_path, "server"))
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    with hook(trust) as server:
        receiver = to("webhook", server, url=f"https://localhost:{server.port}/x")
        with pytest.raises(DeliveryFailedError, match="did not take") as caught:
            sinks.send(receiver, LETTER, folder=folder)
        assert "certificate is not believed" in caught.value.why
        assert server.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert sinks.send(receiver, LETTER, folder=folder).answer == "200 ok"


def mail_to(port: int, **more: object) -> Receiver:
    """Return a receiver of mail."""
    made = {
        "host": "localhost",
        "port": port,
        "sender": "alerts@example.org",
        "recipients": ("anna@example.org", "ben@example.org"),
        **more,
    }
    return Receiver(to="email", **made)  # type: ignore[arg-type]  # checked by each test


def test_mail_goes_by_starttls_with_a_password(
    sinks: Sinks, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail has words for people, the plots beside them, and the id of the delivery."""
    ours = Issued.authority()
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(*ours.server("localhost").write(tmp_path, "server"))
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with post_office(trust, login=True) as post:
        receiver = mail_to(post.port, user="anna", secret="file:secret")  # noqa: S106 - where it is
        assert "anna@example.org" in sinks.send(receiver, LETTER, folder=folder).answer
        assert post.logins == [(b"anna", SECRET.encode())]
    (taken,) = post.mails
    mail = email.message_from_bytes(taken, policy=email.policy.default)
    assert mail["Message-ID"] == "<d1@servewell>"
    assert mail["Subject"].startswith("[page] flights: The slowest")
    text = mail.get_body(("plain",))
    assert text is not None
    assert "next: servewell rollback flights" in text.get_content()
    (page,) = mail.iter_attachments()
    assert page.get_content_type() == "text/html"


def test_mail_without_tls_must_be_declared(sinks: Sinks, folder: str) -> None:
    """A server that offers no STARTTLS gets nothing, unless the workload allows it."""
    with post_office() as post:
        with pytest.raises(DeliveryFailedError) as caught:
            sinks.send(mail_to(post.port), LETTER, folder=folder)
        assert "unencrypted: true" in caught.value.why
        sinks.send(mail_to(post.port, unencrypted=True), LETTER, folder=folder)
        assert len(post.mails) == 1
        post.refuses = "451 later"
        with pytest.raises(DeliveryFailedError, match="did not take") as caught:
            sinks.send(mail_to(post.port, unencrypted=True), LETTER, folder=folder)
        assert "451" in caught.value.why


def test_mail_that_one_of_two_gets_is_taken(sinks: Sinks, folder: str) -> None:
    """Sent again it would come twice to the one; it has failed where nobody gets it."""
    with post_office() as post:
        post.unknown = {"ben@example.org"}
        taken = sinks.send(mail_to(post.port, unencrypted=True), LETTER, folder=folder)
        assert taken.answer == "taken for anna@example.org; refused: ben@example.org (550 gone)"
        assert not taken.wholly
        assert len(post.mails) == 1
        post.unknown = {"anna@example.org", "ben@example.org"}
        with pytest.raises(DeliveryFailedError) as caught:
            sinks.send(mail_to(post.port, unencrypted=True), LETTER, folder=folder)
        assert "it refuses anna@example.org (550 gone), ben" in caught.value.why
        assert len(post.mails) == 1


def test_mail_that_was_taken_is_not_lost_by_an_odd_farewell(sinks: Sinks, folder: str) -> None:
    """A server that answers to the end otherwise than by the rules has the mail."""
    with post_office() as post:
        post.farewell = "421 go away"
        taken = sinks.send(mail_to(post.port, unencrypted=True), LETTER, folder=folder)
        assert taken == Taken(answer="taken for anna@example.org, ben@example.org")
        assert len(post.mails) == 1
