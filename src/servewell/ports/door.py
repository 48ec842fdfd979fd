"""The endpoint as its callers meet it."""

from dataclasses import dataclass
from typing import Any, Protocol

from servewell.errors import ServewellError


class RequestRefusedError(ServewellError):
    """The endpoint refused a request. `status` and `server_code` are what it answered."""

    code = "SW-330"

    def __init__(
        self, what: str, *, why: str, fix: str, status: int = 0, server_code: str = ""
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.status = status
        self.server_code = server_code


class DoorClosedError(ServewellError):
    """Nothing answers at the endpoint's address."""

    code = "SW-331"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request."""

    prediction_id: str
    deployment: str
    model_version: str
    outputs: dict[str, list[Any]]  # name -> one value, or one list of values, per row
    elapsed_ms: float


class Door(Protocol):
    """Sends requests over HTTP with a key, and reads what comes back. Keeps connections alive."""

    def metadata(self, endpoint: str) -> dict[str, Any]:
        """Return the model metadata of an endpoint.

        Raises: RequestRefusedError, DoorClosedError.
        """
        ...

    def ready(self, endpoint: str) -> bool:
        """Whether the endpoint says that it is ready; False where nothing answers."""
        ...

    def predict(
        self, endpoint: str, columns: dict[str, list[Any]], *, deployment: str | None = None
    ) -> Answer:
        """Send rows, given as columns; `deployment` pins one.

        Raises: RequestRefusedError, DoorClosedError.
        """
        ...
