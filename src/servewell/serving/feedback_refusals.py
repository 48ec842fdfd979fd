"""Why feedback is refused. None of it is in the prediction log, which is of predictions."""

from typing import Final

from servewell.core.operations.monitoring.feedback_reading import FieldFault
from servewell.serving.protections import TryLaterError
from servewell.serving.refusals import RequestError

UNAUTHENTICATED: Final = b'www-authenticate: Bearer realm="servewell", error="invalid_token"\r\n'


class FeedbackOffError(RequestError):
    """The endpoint takes no feedback."""

    code = "SW-380"
    recorded = False


class FeedbackFieldsError(RequestError):
    """What was sent is no feedback: each field that is wrong is named."""

    code = "SW-381"
    recorded = False

    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__(
            "The feedback cannot be taken as it is.",
            why="; ".join(f"`{one.field}` takes {one.allowed}" for one in faults),
            fix="correct what is named, and send it again; nothing of it was kept",
        )
        self.faults = faults

    @property
    def reason(self) -> str:
        """See `RequestError.reason`."""
        return ", ".join(one.field for one in self.faults)


class FeedbackTokenError(RequestError):
    """The feedback token is not good here, or its time has passed."""

    code = "SW-382"
    recorded = False

    @property
    def headers(self) -> bytes:
        """See `RequestError.headers`."""
        return UNAUTHENTICATED


class FeedbackElsewhereError(RequestError):
    """The feedback token is that of another prediction."""

    code = "SW-383"
    recorded = False


class FeedbackLimitedError(TryLaterError):
    """More feedback came with one token, of one person or by one key than is taken."""

    code = "SW-384"
    recorded = False


class FeedbackUnkeptError(TryLaterError):
    """The feedback cannot be brought to the disk at the moment."""

    code = "SW-385"
    recorded = False


class OriginRefusedError(RequestError):
    """A browser sent it from a page whose origin the endpoint does not name."""

    code = "SW-386"
    recorded = False
