"""Which deployment answers one request, and of which requests a shadow gets copies."""

import zlib
from collections.abc import Sequence

from servewell.core.catalog.endpoint import BP_FULL


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


def is_copied(prediction_id: str, share_bp: int) -> bool:
    """Return whether a shadow that gets this share is offered a copy of a live request.

    By the id of the prediction alone, so that anybody can find out later which were offered. A
    larger share holds every request that a smaller one does.

    Units:  `share_bp` in basis points, 0..10 000.
    """
    return zlib.crc32(prediction_id.encode()) % BP_FULL < share_bp
