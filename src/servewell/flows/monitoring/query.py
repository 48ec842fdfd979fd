"""Answer SQL over the prediction log, as the caller may see it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from servewell.core.catalog.label import Label
from servewell.core.security.access import grants_at
from servewell.core.security.visibility import Sight, visible_to
from servewell.flows.monitoring.held_labels import pages_of_labels
from servewell.flows.platform import Platform
from servewell.ports.labels import LabelQuery
from servewell.ports.record_queries import Answer, SqlQuery


def sight_of(platform: Platform, principal: str) -> Sight:
    """Return what a principal may see of the prediction log. Raises: StateUnavailableError."""
    grants = grants_at(platform.keys.list(), platform.clock.now())
    return visible_to(principal, operator=platform.principal, grants=grants)


def query_records(
    platform: Platform, query: SqlQuery, *, principal: str
) -> AbstractContextManager[Answer]:
    """Answer a query with what this principal may see; the answer is kept until the context ends.

    Raises: QueryInvalidError, QueryRefusedError, QueryTooLargeError, QueryLibraryMissingError,
    StateUnavailableError, StorageError.
    """
    sight = sight_of(platform, principal)
    return platform.record_queries.answer(
        replace(query, sight=sight), _labels(platform, query, sight)
    )


def _labels(platform: Platform, query: SqlQuery, sight: Sight) -> Iterator[Sequence[Label]]:
    """Yield the labels that hold; none where the query does not speak of labels."""
    asked = LabelQuery(endpoint=query.endpoint, since=query.since, until=query.until)
    pages = pages_of_labels(platform, asked) if "labels" in query.sql.lower() else ()
    for page in pages:
        yield [one for one in page if sight.shows(one.endpoint)]
