"""Feedback in the database of the state."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import (
    CONSENT_TEXT,
    FEEDBACK,
    FEEDBACK_CLOSED,
    LABEL,
    row_of,
    value_of,
)
from servewell.core.catalog.feedback import (
    ConsentText,
    CorrectionState,
    Feedback,
    FeedbackCount,
)
from servewell.core.operations.monitoring.feedback import text_digest
from servewell.ports.feedback import FeedbackMissingError, FeedbackQuery

ROWS: Final = FEEDBACK.c
IDS_AT_ONCE: Final = 500  # in one question
EMPTY: Final[dict[str, object]] = {
    "prediction_id": "",
    "row": 0,
    "endpoint": "",
    "deployment": "",
    "role": "",
    "value": "",
    "outputs": {},
    "loss": None,
    "measure": "",
    "principal": "",
    "source": "",
    "slices": {},
}


class SqlFeedback:
    """`FeedbackStore` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, feedback: Sequence[Feedback]) -> None:
        """See `FeedbackStore.keep`."""
        with self._database.writing() as connection:
            known = {one.id: one for one in _by_ids(connection, [one.id for one in feedback])}
            news: dict[str, Feedback] = {}
            for one in feedback:
                before = news.get(one.id) or known.get(one.id)
                if before is None or _is_newer(one, before):
                    news[one.id] = one
            _delete(connection, list(news))
            _empty_labels(connection, [one for one in news.values() if not _is_label(one)])
            if news:
                connection.execute(sa.insert(FEEDBACK), [row_of(one) for one in news.values()])
        if known:
            self._database.empty_log()

    def find(self, query: FeedbackQuery) -> tuple[Feedback, ...]:
        """See `FeedbackStore.find`."""
        wanted: dict[sa.Column[str], str] = {
            ROWS.endpoint: query.endpoint,
            ROWS.prediction_id: query.prediction_id,
            ROWS.subject: query.subject,
            ROWS.state: query.state or "",
        }
        asked = sa.select(FEEDBACK).where(*(name == held for name, held in wanted.items() if held))
        if query.ids is not None:
            asked = asked.where(ROWS.id.in_(query.ids))
        if query.before is not None:
            asked = asked.where(ROWS.at < query.before)
        ordered = asked.order_by(ROWS.at.desc(), ROWS.id).limit(query.limit)
        with self._database.reading() as connection:
            found = connection.execute(ordered).mappings().all()
        return tuple(value_of(row, Feedback) for row in found)

    def settle(self, feedback_id: str, *, state: CorrectionState, because: str) -> None:
        """See `FeedbackStore.settle`."""
        with self._database.writing() as connection:
            found = _by_ids(connection, [feedback_id])
            if not found:
                raise FeedbackMissingError.of(feedback_id)
            moved = sa.update(FEEDBACK).where(ROWS.id == feedback_id)
            connection.execute(moved.values(state=state.value, because=because))
            if state is not CorrectionState.ACCEPTED:
                _empty_labels(connection, found)

    def remove(self, feedback: Sequence[Feedback], *, labels: bool = True) -> int:
        """See `FeedbackStore.remove`."""
        with self._database.writing() as connection:
            known = {one.id: one for one in _by_ids(connection, [one.id for one in feedback])}
            gone = [
                one for one in feedback if one.id not in known or not _is_newer(known[one.id], one)
            ]
            _delete(connection, [one.id for one in gone])
            emptied = _empty_labels(connection, gone) if labels else 0
        if gone:
            self._database.empty_log()
        return emptied

    def close(self, ids: Sequence[str], *, now: float, until: float) -> None:
        """See `FeedbackStore.close`."""
        rows = [{"id": one, "until": until} for one in sorted(set(ids))]
        with self._database.writing() as connection:
            connection.execute(sa.delete(FEEDBACK_CLOSED).where(FEEDBACK_CLOSED.c.until < now))
            for row in rows:
                same = FEEDBACK_CLOSED.c.id == row["id"]
                connection.execute(sa.delete(FEEDBACK_CLOSED).where(same))
            if rows:
                connection.execute(sa.insert(FEEDBACK_CLOSED), rows)

    def closed(self, ids: Sequence[str]) -> frozenset[str]:
        """See `FeedbackStore.closed`."""
        query = sa.select(FEEDBACK_CLOSED.c.id).where(FEEDBACK_CLOSED.c.id.in_(ids))
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def counts(self, endpoint: str, *, since: float, window_s: int) -> tuple[FeedbackCount, ...]:
        """See `FeedbackStore.counts`."""
        start = sa.cast(sa.func.floor(ROWS.at / window_s), sa.BigInteger) * window_s
        groups = (ROWS.deployment, start, ROWS.rating)
        query = (
            sa.select(
                ROWS.deployment,
                start.label("start"),
                ROWS.rating,
                sa.func.count().label("total"),
                _how_many(ROWS.consent_version != "").label("consented"),
                _how_many(ROWS.comment != "").label("comments"),
                _how_many(ROWS.state == CorrectionState.PENDING.value).label("pending"),
                _how_many(ROWS.state == CorrectionState.ACCEPTED.value).label("accepted"),
            )
            .where(ROWS.endpoint == endpoint, ROWS.at >= since)
            .group_by(*groups)
            .order_by(*groups)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(value_of(row, FeedbackCount) for row in found)


class SqlConsentTexts:
    """`ConsentTexts` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, endpoint: str, asked: ConsentText, *, at: float) -> None:
        """See `ConsentTexts.keep`."""
        row = {
            **row_of(asked),
            "endpoint": endpoint,
            "digest": text_digest(asked.text),
            "at": at,
        }
        same = [CONSENT_TEXT.c[name] == row[name] for name in ("endpoint", "version", "digest")]
        with self._database.writing() as connection:
            if not connection.execute(sa.select(CONSENT_TEXT.c.at).where(*same)).first():
                connection.execute(sa.insert(CONSENT_TEXT).values(row))

    def of(self, endpoint: str) -> tuple[ConsentText, ...]:
        """See `ConsentTexts.of`."""
        rows = CONSENT_TEXT.c
        query = sa.select(rows.version, rows.text, rows.scope).where(rows.endpoint == endpoint)
        with self._database.reading() as connection:
            found = connection.execute(query.order_by(rows.at, rows.version)).mappings().all()
        return tuple(value_of(row, ConsentText) for row in found)


def _is_newer(one: Feedback, other: Feedback) -> bool:
    return (one.at, one.entry) > (other.at, other.entry)


def _is_label(one: Feedback) -> bool:
    return one.state is CorrectionState.ACCEPTED


def _how_many(condition: sa.ColumnElement[bool]) -> sa.Function[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _by_ids(connection: Connection, ids: Sequence[str]) -> list[Feedback]:
    found: list[Feedback] = []
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ROWS.id.in_(ids[start : start + IDS_AT_ONCE])
        rows = connection.execute(sa.select(FEEDBACK).where(some)).mappings()
        found += [value_of(row, Feedback) for row in rows]
    return found


def _delete(connection: Connection, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ROWS.id.in_(ids[start : start + IDS_AT_ONCE])
        connection.execute(sa.delete(FEEDBACK).where(some))


def _empty_labels(connection: Connection, feedback: Sequence[Feedback]) -> int:
    """Empty the labels that these corrections became; their numbers stay, as readers count on."""
    labels, emptied = LABEL.c, 0
    for one in feedback:
        those = (labels.prediction_id == one.prediction_id, labels.source == one.source)
        emptied += connection.execute(sa.update(LABEL).where(*those).values(EMPTY)).rowcount
    return emptied
