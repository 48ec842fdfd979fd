"""Where alerts are sent to."""

from dataclasses import dataclass
from typing import Protocol

from servewell.core.catalog.alert import Notice
from servewell.core.catalog.workload_alerts import Receiver
from servewell.errors import ServewellError


class SecretReferenceError(ServewellError):
    """The secret of a receiver is not where the workload says."""

    code = "SW-176"


class ReceiverAddressError(ServewellError):
    """A receiver's address is one that nothing is sent to."""

    code = "SW-177"


class DeliveryFailedError(ServewellError):
    """A receiver did not take a notice. `retry_after_s` is what it asked for; 0 for nothing."""

    code = "SW-545"

    def __init__(self, what: str, *, why: str, fix: str, retry_after_s: float = 0.0) -> None:
        super().__init__(what, why=why, fix=fix)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is sent: the same id whenever it is sent again."""

    id: str
    source: str  # the machine and the home that it is from
    sent_at: float  # seconds since the epoch, UTC; of this try
    notice: Notice
    page: str  # the alerts with their evidence drawn, as HTML


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a receiver said of a letter that it has."""

    answer: str  # in a few words
    wholly: bool = True  # whether it has it for everybody whom the letter is for


class Sinks(Protocol):
    """Sends notices in the format of each kind of receiver.

    Every implementation passes tests/ports/test_sinks.py, and holds:
    - it returns only when the receiver has said that it has the letter;
    - a receiver that answers slowly, or never, holds it for 30 seconds at most;
    - it follows no redirect, and sends nothing to addresses of a machine's own link, where the
      clouds answer questions about the machine;
    - no secret is in what it returns or raises.
    """

    def send(self, receiver: Receiver, letter: Letter, *, folder: str) -> Taken:
        """Send a letter; return what the receiver answered.

        `folder` is where relative paths of secrets start.

        Raises: DeliveryFailedError, SecretReferenceError, ReceiverAddressError.
        """
        ...
