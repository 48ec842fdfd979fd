"""Follow one request: who asked, what answered, where that came from, what was said of it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Final

from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_id import made_at
from servewell.core.catalog.prediction_record import SHADOW
from servewell.core.catalog.request_trace import Origin, Record, RequestTrace
from servewell.core.operations.monitoring.request_trace import caller_of, change_at, evidence_in
from servewell.core.security.visibility import Sight
from servewell.errors import ServewellError
from servewell.flows.monitoring.query import sight_of
from servewell.flows.platform import Platform
from servewell.ports.feedback import FeedbackQuery
from servewell.ports.records import RecordQuery, SegmentCorruptError
from servewell.ports.registry import ModelMissingError
from servewell.ports.runs import RunMissingError

REQUESTS_MAX: Final = 50  # with the same trace or request id
LOOK_BACK_S: Final = 7 * 86_400.0

EVERYWHERE: Final = RecordQuery(role="all", limit=REQUESTS_MAX)


class RequestMissingError(ServewellError):
    """No record has that prediction, trace or request id."""

    code = "SW-271"


def trace(
    platform: Platform, wanted: str, *, principal: str, since: float | None = None
) -> RequestTrace:
    """Return everything that is known of the newest request with this id, if it may be seen.

    The id is a prediction id, or that of a trace, or the caller's own of a request. A prediction id
    tells when it was made; others are looked for since a time (epoch seconds), by default in the
    last week.

    Raises: RequestMissingError, StateUnavailableError, StorageError.
    """
    first = platform.clock.now() - LOOK_BACK_S if since is None else since
    found_by, records = _found(platform, wanted, sight_of(platform, principal), since=first)
    one = records[-1]["prediction_id"]
    own = [record for record in records if record["prediction_id"] == one]
    live = next((record for record in own if record["role"] != SHADOW), None)
    endpoint = records[-1]["endpoint"]
    traced = RequestTrace(
        found_by=found_by,
        others=tuple(dict.fromkeys(r["prediction_id"] for r in records if r not in own)),
        live=live,
        shadows=tuple(record for record in own if record["role"] == SHADOW),
        caller=caller_of(records[-1], platform.keys.list(), now=platform.clock.now()),
        labels=tuple(two for two in platform.labels.history(one) if two.endpoint == endpoint),
        feedback=platform.feedback.find(FeedbackQuery(endpoint=endpoint, prediction_id=one)),
    )
    return replace(
        traced,
        origin=_origin(platform, traced.record),
        evidence=tuple(
            evidence
            for outcome in _outcomes(platform, one)
            for evidence in evidence_in(
                outcome, platform.rollouts.list(endpoint), platform.experiments.list(endpoint)
            )
        ),
    )


def _found(
    platform: Platform, wanted: str, sight: Sight, *, since: float
) -> tuple[str, list[Record]]:
    """Return the records with this id, oldest first, and which of their ids it is."""
    within = replace(EVERYWHERE, since=since)
    timed = EVERYWHERE if made_at(wanted) else within
    for word, query in (
        ("prediction id", replace(timed, prediction_id=wanted)),
        ("trace id", replace(within, trace_id=wanted)),
        ("request id", replace(within, request_id=wanted)),
    ):
        records = _seen(platform, query, sight)
        if records:
            return word, records
    moment = datetime.fromtimestamp(since, UTC)
    raise RequestMissingError(
        f"No record has the id `{wanted}`.",
        why=f"no prediction, trace or request since {moment:%Y-%m-%d %H:%M} UTC has it that you "
        "may see, or its record is past its retention",
        fix="look further back with `--since`; `servewell records list` shows the newest records "
        "with their ids, and every answer names its prediction",
    )


def _seen(platform: Platform, query: RecordQuery, sight: Sight) -> list[Record]:
    """Return the newest records that may be seen, oldest first."""
    names = (None,) if sight.endpoints is None else sight.endpoints
    found = [
        one for name in names for one in readable_records(platform, replace(query, endpoint=name))
    ]
    return sorted(found, key=itemgetter("time"))[-REQUESTS_MAX:]


def readable_records(platform: Platform, query: RecordQuery) -> Iterable[Record]:
    """Yield what can be read; what is damaged is not looked for."""
    try:
        yield from platform.records.read(query)
    except SegmentCorruptError:  # raised when everything that can be read was given
        return


def _outcomes(platform: Platform, prediction_id: str) -> list[Outcome]:
    return list(platform.records.find([prediction_id]))


def _origin(platform: Platform, record: Record) -> Origin | None:
    """Return where the deployment came from; what is kept no more is left out."""
    model, _, number = record["model"].partition(":")
    if not number.isdecimal():
        return None
    try:
        version = platform.registry.get(model, int(number))
    except ModelMissingError:
        return None
    try:
        run = platform.runs.get(version.manifest.lineage.run)
    except RunMissingError:
        run = None
    change = change_at(platform.history.changes(record["endpoint"]), record["snapshot"])
    return Origin(version=version, run=run, change=change)
