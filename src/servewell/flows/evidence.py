"""Observe what became of requests since the last look at a rollout."""

from dataclasses import replace

from servewell.core.catalog.evidence_cursor import EvidenceCursor, cursor_of, written
from servewell.core.catalog.rollout import Rollout
from servewell.core.operations.observed import Seen, asks_inputs, observed
from servewell.flows.platform import Platform


def observe(platform: Platform, rollout: Rollout) -> Rollout:
    """Return the rollout with everything that was recorded since its cursor, and a new cursor.

    It is not saved: evidence and cursor are to be kept together, so that nothing counts twice and
    nothing is lost, whenever a process is killed.

    Raises: CursorUnreadableError, EndpointMissingError, StateUnavailableError, StorageError.
    """
    at = cursor_of(rollout.cursor)
    records = at.records or platform.records.start_cursor(rollout.began_at)
    endpoint = platform.endpoints.get(rollout.endpoint)
    followed = platform.records.follow(
        records, endpoint=rollout.endpoint, inputs=asks_inputs(rollout)
    )
    seen = Seen(outcomes=followed.outcomes, missing=followed.missing, gaps=followed.gaps)
    cursor = EvidenceCursor(records=followed.cursor, labels=at.labels)
    return replace(observed(rollout, seen, endpoint=endpoint), cursor=written(cursor))
