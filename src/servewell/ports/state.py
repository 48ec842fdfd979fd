"""What can go wrong with the state, whichever store keeps it."""

from servewell.errors import ServewellError


class StateUnavailableError(ServewellError):
    """The database cannot be reached, is corrupt, or belongs to a newer release."""

    code = "SW-502"


class StateConflictError(ServewellError):
    """Somebody else changed it since it was read."""

    code = "SW-210"
