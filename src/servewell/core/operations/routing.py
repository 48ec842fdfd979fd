"""Which deployment answers one request."""

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
