"""The routing and access state that data-plane workers serve from.

On disk a snapshot is JSON under a seal: see `core/catalog/seal.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.key import Grant
from servewell.core.catalog.seal import SealBrokenError, sealed, unsealed
from servewell.errors import ServewellError

MAGIC: Final = b"servewell-snapshot 1"


class SnapshotCorruptError(ServewellError):
    """A snapshot does not match its checksum or its signature."""

    code = "SW-507"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a worker needs to answer, at one revision of the state."""

    version: int  # revision of the state it was made from; grows with every change
    created_at: float  # seconds since the epoch, UTC
    endpoints: tuple[Endpoint, ...] = ()
    grants: tuple[Grant, ...] = ()


def seal(snapshot: Snapshot, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the bytes of a snapshot as they stand on disk, signed by `sign`."""
    return sealed(MAGIC, msgspec.json.encode(snapshot), sign)


def unseal(data: bytes, verify: Callable[[bytes, bytes], bool]) -> Snapshot:
    """Return the snapshot in `data`; `verify(body, signature)` says whether it is ours.

    Raises: SnapshotCorruptError.
    """
    try:
        return msgspec.json.decode(unsealed(MAGIC, data, verify), type=Snapshot)
    except SealBrokenError as error:
        raise _corrupt(str(error)) from error
    except msgspec.DecodeError as error:
        raise _corrupt(f"its content is not what this release writes ({error})") from error


def _corrupt(why: str) -> SnapshotCorruptError:
    return SnapshotCorruptError(
        "The snapshot cannot be trusted.",
        why=why,
        fix="run `servewell up` again: it writes a new one from the state; workers keep what "
        "they serve until then",
    )
