"""Mail: text with the evidence in one line, and a page with the plots beside it."""

import smtplib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from socket import socket
from typing import Final

from servewell.adapters.embedded.alerting.addresses import Patience, connected, why_broken
from servewell.adapters.embedded.alerting.masking import masked, secrets_of
from servewell.core.catalog.workload_alerts import Receiver
from servewell.core.operations.monitoring.alerts_words import paragraphs, title
from servewell.ports.sinks import DeliveryFailedError, Letter, Taken

TLS_PORT: Final = 465  # where TLS begins before SMTP does
SHOWN: Final = 200  # characters of an answer

Refused = Mapping[str, tuple[int, bytes]]  # the code and the words by recipient


def post_mail(receiver: Receiver, letter: Letter, *, password: str, patience: Patience) -> Taken:
    """Send a mail to all recipients; return for whom the server took it, and for whom not.

    It has failed only where the server took it for nobody.

    Raises: DeliveryFailedError, ReceiverAddressError.
    """
    host = receiver.host or ""
    refused: Refused | None = None
    try:
        with (
            connected(host, receiver.port, patience) as plain,
            _Server(receiver, plain) as server,
        ):
            _introduce(server, receiver, password)
            refused = server.send_message(message(receiver, letter))
    except (OSError, smtplib.SMTPException) as error:
        if refused is None:  # else it has the mail, and ended the talk otherwise than by the rules
            raise _failed(host, _why(error, password)) from error
    except ValueError:  # it may repeat what it refuses: a password
        raise _failed(host, "its name or the password cannot be sent as it is") from None
    return _answer(receiver, refused or {}, password)


def _answer(receiver: Receiver, refused: Refused, password: str) -> Taken:
    """Return who has the mail and who has not: to send it again would send it to both."""
    taken = ", ".join(one for one in receiver.recipients if one not in refused)
    rest = f"; refused: {_told(refused, password)}" if refused else ""
    return Taken(answer=f"taken for {taken}{rest}", wholly=not refused)


def message(receiver: Receiver, letter: Letter) -> EmailMessage:
    """Return a notice as a mail; its Message-ID is that of the delivery."""
    notice = letter.notice
    made = EmailMessage()
    made["Subject"] = " ".join(title(notice).split())
    made["From"] = receiver.sender
    made["To"] = ", ".join(receiver.recipients)
    made["Date"] = format_datetime(datetime.fromtimestamp(letter.sent_at, tz=UTC))
    made["Message-ID"] = f"<{letter.id}@servewell>"
    made["X-Servewell-Delivery"] = letter.id
    made["Auto-Submitted"] = "auto-generated"
    texts = ["\n  ".join((head, *below)) for head, below in paragraphs(notice)]
    made.set_content("\n\n".join(texts) + "\n")
    made.add_attachment(letter.page, subtype="html", filename="alerts.html")
    return made


class _Server(smtplib.SMTP):
    """A mail server over a connection that was made before."""

    def __init__(self, receiver: Receiver, plain: socket) -> None:
        self._plain = plain
        if receiver.port == TLS_PORT:
            trust = ssl.create_default_context()
            self._plain = trust.wrap_socket(plain, server_hostname=receiver.host)
        super().__init__(receiver.host or "", receiver.port)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket:  # noqa: ARG002 - its own
        """See `smtplib.SMTP`."""
        return self._plain


def _introduce(server: smtplib.SMTP, receiver: Receiver, password: str) -> None:
    if receiver.port != TLS_PORT and not receiver.unencrypted:
        server.starttls(context=ssl.create_default_context())
    if receiver.user:
        server.login(receiver.user, password)


def _why(error: Exception, password: str) -> str:
    match error:
        case smtplib.SMTPNotSupportedError():
            return f"{error}; `unencrypted: true` allows to send without TLS"
        case smtplib.SMTPResponseException():
            return f"it answered {error.smtp_code} {_shown(error.smtp_error, password)}"
        case smtplib.SMTPRecipientsRefused():
            return f"it refuses {_told(error.recipients, password)}"
        case _:
            return why_broken(error)


def _told(refused: Refused, password: str) -> str:
    return ", ".join(
        f"{name} ({code} {_shown(text, password)})"
        for name, (code, text) in sorted(refused.items())
    )


def _shown(told: bytes | str, password: str) -> str:
    text = told.decode(errors="replace") if isinstance(told, bytes) else told
    return masked(text, secrets_of(password, ""))[:SHOWN]


def _failed(host: str, why: str) -> DeliveryFailedError:
    return DeliveryFailedError(
        f"The mail server `{host}` did not take an alert.",
        why=why,
        fix="see to the mail server; it is tried again, and `servewell alerts dead-letters` shows "
        "what was given up",
    )
