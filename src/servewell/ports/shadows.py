"""Shadows that people started."""

from typing import Protocol

from servewell.core.catalog.change import Change
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.shadow import ShadowRun
from servewell.errors import ServewellError


class ShadowMissingError(ServewellError):
    """An endpoint has no shadow."""

    code = "SW-240"


class Shadows(Protocol):
    """Remembers the last shadow of each endpoint. Contract: tests/ports/test_shadows.py.

    - A shadow, the endpoint that it changes and the change are kept together or not at all;
    - `save` succeeds only on the shadow as it was read (`ShadowRun.revision`; 0 for a new one,
      which takes the place of one that has ended);
    - what was compared and the cursor up to which it was are one value, kept together.

    All methods raise StateUnavailableError.
    """

    def save(
        self, run: ShadowRun, *, endpoint: Endpoint | None = None, change: Change | None = None
    ) -> ShadowRun:
        """Keep a shadow, with the endpoint and the change where they belong to it.

        Raises: StateConflictError.
        """
        ...

    def list(
        self, endpoint: str | None = None, *, open_only: bool = False
    ) -> tuple[ShadowRun, ...]:
        """Return the last shadow of one endpoint, or of each."""
        ...
