"""The endpoint as its callers meet it."""

from dataclasses import dataclass
from typing import Any, Protocol

from servewell.core.catalog.rows import RowFault
from servewell.errors import ServewellError


class RequestRefusedError(ServewellError):
    """The endpoint refused a request. `status` and `server_code` are what it answered.

    `faults` are the values that it named, their rows counted in the request, from 1.
    """

    code = "SW-330"

    def __init__(  # noqa: PLR0913 - the three words of every error, and three facts of this one
        self,
        what: str,
        *,
        why: str,
        fix: str,
        status: int = 0,
        server_code: str = "",
        faults: tuple[RowFault, ...] = (),
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.status = status
        self.server_code = server_code
        self.faults = faults


class DoorClosedError(ServewellError):
    """Nothing answers at the endpoint's address."""

    code = "SW-331"


class AnswerInvalidError(ServewellError):
    """Something answers at the address, but not as an endpoint does."""

    code = "SW-332"


class CertificateNotTrustedError(ServewellError):
    """What answers at the address shows a certificate that is not believed here."""

    code = "SW-132"


class AddressInvalidError(ServewellError):
    """The address of an endpoint is not a URL that can be used."""

    code = "SW-122"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerCertificate:
    """The files of a certificate that a caller shows."""

    certificate: str  # in PEM, with those that signed it below it
    key: str = ""  # in PEM; empty where it is in the same file


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request."""

    prediction_id: str
    deployment: str
    model_version: str
    outputs: dict[str, list[Any]]  # name -> one value, or one list of values, per row
    elapsed_ms: float


class Door(Protocol):
    """Sends requests over HTTP with a key, and reads what comes back. Keeps connections alive.

    Every implementation passes tests/ports/test_door.py, and holds:
    - a request is sent a second time only where no byte of an answer was seen on a connection
      that had been kept alive, or where the endpoint asked for it with `Retry-After`;
    - the key is in no error and no `repr`.
    """

    def metadata(self, endpoint: str, *, deployment: str | None = None) -> dict[str, Any]:
        """Return the model metadata of an endpoint, or of the `deployment` that is named.

        Raises: RequestRefusedError, DoorClosedError, AnswerInvalidError,
        CertificateNotTrustedError.
        """
        ...

    def ready(self, endpoint: str) -> bool:
        """Whether the endpoint says that it is ready; False where nothing answers.

        Raises: CertificateNotTrustedError.
        """
        ...

    def metrics(self) -> dict[str, float]:
        """Return what the workers count, by series as Prometheus writes it.

        Raises: RequestRefusedError, DoorClosedError, AnswerInvalidError,
        CertificateNotTrustedError.
        """
        ...

    def predict(
        self, endpoint: str, columns: dict[str, list[Any]], *, deployment: str | None = None
    ) -> Answer:
        """Send rows, given as columns; `deployment` pins one.

        Raises: RequestRefusedError, DoorClosedError, AnswerInvalidError,
        CertificateNotTrustedError.
        """
        ...
