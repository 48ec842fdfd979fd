"""Observe what became of requests since the last look at a rollout."""

from dataclasses import replace
from typing import Final

from servewell.core.catalog.evidence_cursor import EvidenceCursor, cursor_of, written
from servewell.core.catalog.rollout import Rollout
from servewell.core.operations.observed import Seen, asks_inputs, observed
from servewell.flows.platform import Platform

LABELS_AT_ONCE: Final = 20_000


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
    known = platform.labels.last() if at.labels is None else at.labels
    labels = platform.labels.since(known, endpoint=rollout.endpoint, limit=LABELS_AT_ONCE)
    seen = Seen(
        outcomes=followed.outcomes, labels=labels, missing=followed.missing, gaps=followed.gaps
    )
    behind = labels[-1].number if labels else known
    cursor = EvidenceCursor(records=followed.cursor, labels=behind)
    after = observed(rollout, seen, endpoint=endpoint)
    unread = followed.more or len(labels) == LABELS_AT_ONCE
    return replace(after, cursor=written(cursor), unread=unread)
