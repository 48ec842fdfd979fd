"""How new connections are steered to one of several listeners that share a port.

Where a supervisor takes over, its listener stands beside that of the one before. The kernel deals
connections to both, and resets what has just come to the old one when it is closed. So the old one
is closed only after it has been given nothing more for a moment.
"""

import ctypes
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

SO_ATTACH_REUSEPORT_CBPF: Final = 51  # Source: Linux, include/uapi/asm-generic/socket.h
RETURN_CONSTANT: Final = 0x06  # BPF_RET | BPF_K. Source: include/uapi/linux/bpf_common.h
LISTENING: Final = "0A"  # Source: Linux, Documentation/networking/proc_net_tcp.rst
TABLES: Final = {
    socket.AF_INET: Path("/proc/net/tcp"),
    socket.AF_INET6: Path("/proc/net/tcp6"),
}


def steer_to_newest(listener: socket.socket) -> bool:
    """Give all new connections of its port to `listener`, which joined the port last.

    The program for the kernel is one instruction: return the place of the newest listener. When
    others are closed there is none at that place, and the kernel deals as before. Return whether
    the kernel took it; where not, it deals to all.

    Source: Linux, socket(7), SO_ATTACH_REUSEPORT_CBPF.
    """
    with suppress(OSError, ValueError):
        place = max(0, _listeners(listener) - 1)
        instruction = ctypes.create_string_buffer(struct.pack("HBBI", RETURN_CONSTANT, 0, 0, place))
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
        return True
    return False


def _listeners(listener: socket.socket) -> int:
    """Return how many sockets listen on the port of this one."""
    port = f":{listener.getsockname()[1]:04X}"
    rows = [line.split() for line in TABLES[listener.family].read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == LISTENING for row in rows)
