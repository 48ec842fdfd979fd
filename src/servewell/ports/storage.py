"""What can go wrong with a disk."""

from servewell.errors import ServewellError


class StorageError(ServewellError):
    """The home folder cannot be written: full, read-only, not ours, or not a folder."""

    code = "SW-501"
