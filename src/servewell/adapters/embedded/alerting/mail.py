"""Mail: text with the evidence in one line, and a page with the plots beside it."""

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from socket import socket
from typing import Final

from servewell.adapters.embedded.alerting.addresses import Patience, connected, why_broken
from servewell.core.catalog.workload_alerts import Receiver
from servewell.core.operations.monitoring.alerts_words import paragraphs, title
from servewell.ports.sinks import DeliveryFailedError, Letter

TLS_PORT: Final = 465  # where TLS begins before SMTP does
SHOWN: Final = 200


def post_mail(receiver: Receiver, letter: Letter, *, password: str, patience: Patience) -> str:
    """Send a mail to all recipients; return what the server said.

    Raises: DeliveryFailedError, ReceiverAddressError.
    """
    host = receiver.host or ""
    try:
        with (
            connected(host, receiver.port, patience) as plain,
            _Server(receiver, plain) as server,
        ):
            _introduce(server, receiver, password)
            refused = server.send_message(message(receiver, letter))
    except (OSError, smtplib.SMTPException) as error:
        raise _failed(host, _why(error).replace(password or "\0", "…")) from error
    except ValueError:  # it may repeat what it refuses: a password
        raise _failed(host, "its name or the password cannot be sent as it is") from None
    if refused:
        raise _failed(host, f"it refuses {', '.join(sorted(refused))}")
    return f"taken for {', '.join(receiver.recipients)}"


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


def _why(error: Exception) -> str:
    match error:
        case smtplib.SMTPNotSupportedError():
            return f"{error}; `unencrypted: true` allows to send without TLS"
        case smtplib.SMTPResponseException():
            told = error.smtp_error
            text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
            return f"it answered {error.smtp_code} {text[:SHOWN]}"
        case smtplib.SMTPRecipientsRefused():
            return f"it refuses {', '.join(sorted(error.recipients))}"
        case _:
            return why_broken(error)


def _failed(host: str, why: str) -> DeliveryFailedError:
    return DeliveryFailedError(
        f"The mail server `{host}` did not take an alert.",
        why=why,
        fix="see to the mail server; it is tried again, and `servewell alerts dead-letters` shows "
        "what was given up",
    )
