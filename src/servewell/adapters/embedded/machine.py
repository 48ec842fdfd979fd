"""The machine that the process runs on, looked at without changing anything."""

import importlib.util
import os
import platform
import resource
import shutil
import socket
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from servewell.ports.machine import MachineFacts

CGROUP_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# Optional part, as in `pip install servewell[…]` -> the modules that it brings.
EXTRAS: Final[dict[str, tuple[str, ...]]] = {
    "postgres": ("psycopg",),
    "sklearn": ("onnx", "pandas", "sklearn", "skl2onnx"),
    "xgboost": ("onnx", "onnxmltools", "pandas", "skl2onnx", "xgboost"),
    "lightgbm": ("lightgbm", "onnx", "onnxmltools", "pandas", "skl2onnx"),
}


class LocalMachine:
    """`Machine` on this one. `home` is the folder of the state, which need not exist yet."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def facts(self, *, host: str = "127.0.0.1", port: int | None = None) -> MachineFacts:
        """See `Machine.facts`."""
        place = _nearest(self._home, os.path.lexists)  # a link that leads nowhere is in the way
        disk = shutil.disk_usage(_nearest(self._home, os.path.exists))
        fault = _write_fault(place)
        return MachineFacts(
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.release()} {platform.machine()}",
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=_memory_bytes(),
            home=str(self._home),
            home_exists=place == self._home,
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            home_writable=not fault,
            home_fault=fault,
            port_free=None if port is None else _is_free(host, port),
            extras={extra: _installed(modules) for extra, modules in EXTRAS.items()},
            open_files_max=_open_files_max(),
        )


def _nearest(path: Path, exists: Callable[[Path], bool]) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    while not exists(path) and path != path.parent:
        path = path.parent
    return path


def _write_fault(place: Path) -> str:
    """Return why nothing can be made in a folder, or an empty text."""
    if not place.is_dir():
        return f"`{place}` is not a folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"this user may not write in `{place}`, or its file system is read-only"
    return ""


def _memory_bytes() -> int:
    """Return the memory of the machine, or less where this process is limited to less."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(installed, *(_limit(place, otherwise=installed) for place in CGROUP_LIMITS))


def _open_files_max() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _limit(place: Path, *, otherwise: int) -> int:
    try:
        return int(place.read_text())
    except (OSError, ValueError):
        return otherwise


def _is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Connections that are closing do not count."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
    except OSError:
        return False
    return True


@cache
def _installed(modules: tuple[str, ...]) -> bool:
    """Whether these can be imported; what is installed while a process runs, the next one sees."""
    return all(importlib.util.find_spec(module) is not None for module in modules)
