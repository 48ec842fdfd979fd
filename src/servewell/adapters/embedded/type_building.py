"""What several threads read values as."""

import importlib
import pkgutil
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Final

import msgspec

from servewell import ports
from servewell.core import catalog

PACKAGES: Final = (catalog, ports)


def build_types() -> None:
    """Have msgspec learn the fields of all that is read, before several threads read.

    It learns those of a type when that is first used, and where two threads do so at once, the
    process crashes (seen with msgspec 0.22).
    """
    for package in PACKAGES:
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for kind in vars(importlib.import_module(found.name)).values():
                if isinstance(kind, type) and (
                    is_dataclass(kind) or issubclass(kind, msgspec.Struct)
                ):
                    with suppress(TypeError):  # nobody can read one that msgspec cannot
                        msgspec.json.Decoder(kind)
