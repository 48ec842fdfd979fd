"""The routing and access state that data-plane workers serve from.

On disk a snapshot is one line that seals it (`servewell-snapshot 1 SHA256 SIGNATURE`) and then
its JSON. The line is checked before a byte of the JSON is read.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.key import Grant
from servewell.errors import ServewellError

MAGIC: Final = b"servewell-snapshot 1"
SEAL_PARTS: Final = 4


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
    body = msgspec.json.encode(snapshot)
    digest = hashlib.sha256(body).hexdigest().encode()
    return b" ".join((MAGIC, digest, base64.b64encode(sign(body)))) + b"\n" + body


def unseal(data: bytes, verify: Callable[[bytes, bytes], bool]) -> Snapshot:
    """Return the snapshot in `data`; `verify(body, signature)` says whether it is ours.

    Raises: SnapshotCorruptError.
    """
    line, _, body = data.partition(b"\n")
    parts = line.split(b" ")
    if len(parts) != SEAL_PARTS or b" ".join(parts[:2]) != MAGIC:
        raise _corrupt("its first line is not the seal of a snapshot")
    if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), parts[2]):
        raise _corrupt("its checksum does not match its content")
    if not _genuine(body, parts[3], verify):
        raise _corrupt("its signature was not made with the key of this home")
    try:
        return msgspec.json.decode(body, type=Snapshot)
    except msgspec.DecodeError as error:
        raise _corrupt(f"its content is not what this release writes ({error})") from error


def _genuine(body: bytes, text: bytes, verify: Callable[[bytes, bytes], bool]) -> bool:
    """Whether `text` is our signature, written as `seal` writes it: base 64 has other ways."""
    try:
        signature = base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return base64.b64encode(signature) == text and verify(body, signature)


def _corrupt(why: str) -> SnapshotCorruptError:
    return SnapshotCorruptError(
        "The snapshot cannot be trusted.",
        why=why,
        fix="run `servewell up` again: it writes a new one from the state; workers keep what "
        "they serve until then",
    )
