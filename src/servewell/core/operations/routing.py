"""Which deployment answers one request, and of which requests a shadow gets copies."""

import hashlib
import math
import zlib
from collections.abc import Sequence
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL

HASHES: Final = 1 << 52  # so many that, with a half added, a float holds each exactly
HASH_SHIFT: Final = 12


def choose(traffic: Sequence[tuple[str, int]], draw: int) -> str | None:
    """Return the deployment that answers, or None where none has a share.

    Where the shares sum to less than the whole (a deployment that could not be loaded is left
    out), those that remain take its requests in proportion.

    Units:  shares in basis points, 0..10 000, summing to at most 10 000; `draw` is uniform in
            0..9 999.
    """
    place = draw * sum(share for _, share in traffic) // BP_FULL
    for name, share in traffic:
        place -= share
        if place < 0:
            return name
    return None


def choose_sticky(
    traffic: Sequence[tuple[str, int]], value: bytes, *, salt: str = ""
) -> str | None:
    """Return the deployment that answers everybody who sends this value, or None without any.

    Each gets its share of all values. When one share grows beside the others, or one shrinks, only
    values that come to it or leave it move; the order of the deployments plays no part. With
    another `salt` the same values are split in another way.

    Units:  shares in basis points, 0..10 000.
    Source: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005, the
            logarithmic method.
    """
    best, chosen = -1.0, None
    for name, share in traffic:
        text = b"\0".join((salt.encode(), name.encode(), value))
        number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> HASH_SHIFT
        score = share / -math.log((number + 0.5) / HASHES)
        if share and score > best:
            best, chosen = score, name
    return chosen


def is_copied(prediction_id: str, share_bp: int) -> bool:
    """Return whether a shadow that gets this share is offered a copy of a live request.

    By the id of the prediction alone, so that anybody can find out later which were offered. A
    larger share holds every request that a smaller one does.

    Units:  `share_bp` in basis points, 0..10 000.
    """
    return zlib.crc32(prediction_id.encode()) % BP_FULL < share_bp
