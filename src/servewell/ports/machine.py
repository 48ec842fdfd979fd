"""The machine as `doctor` sees it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What there is."""

    python: str
    platform: str
    cores: int
    memory_bytes: int  # that the processes of this machine may use
    home: str  # folder of the state
    home_exists: bool
    disk_free_bytes: int  # where the home is, or would be
    disk_total_bytes: int
    home_writable: bool  # or could be made, and then written
    home_fault: str  # why it is not writable; or empty
    port_free: bool | None  # None where nobody asked
    extras: dict[str, bool]  # optional part -> whether it is installed
    open_files_max: int


class Machine(Protocol):
    """Looks at the machine and changes nothing on it. Contract: tests/ports/test_machine.py."""

    def facts(self, *, host: str = "127.0.0.1", port: int | None = None) -> MachineFacts:
        """Return what there is now; with a port, whether it is free to listen on."""
        ...
