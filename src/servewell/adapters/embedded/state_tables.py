"""The tables of the state, and how values become rows.

Every column is named after the field that it holds, so a row and a value turn into each other
without a list of names. A change here needs a new file in `migrations/versions`.
"""

import json
from typing import Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, RowMapping

Value = TypeVar("Value")


class Words(sa.TypeDecorator[str]):
    """Text. What no database keeps, NUL and halves of surrogate pairs, becomes a mark."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  (SQLAlchemy's signature)
        """Return the text as it is stored."""
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Nested(sa.TypeDecorator[object]):
    """A nested value, as JSON text of ASCII characters.

    Python's own JSON keeps the numbers that strict JSON has no word for: a metric may be NaN.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:  # noqa: ARG002  (SQLAlchemy's signature)
        """Return the value as it is stored."""
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:  # noqa: ARG002  (SQLAlchemy's signature)
        """Return the value of what is stored."""
        return None if value is None else json.loads(value)


METADATA: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

DATASET_VERSION: Final = sa.Table(
    "dataset_version",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", Words, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("columns", Nested, nullable=False),
    sa.Column("source", Words, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("statistics", Nested, nullable=False, server_default="[]"),
    sa.Column("removed_at", sa.Double),
    sa.Column("removed_because", Words, nullable=False, server_default=""),
    sa.UniqueConstraint("name", "digest"),
)

DATASET: Final = sa.Table(
    "dataset",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("owner", Words, nullable=False),
    sa.Column("readers", Nested),
    sa.Column("retention_days", sa.Integer),
    sa.Column("personal", Nested, nullable=False),
)

MODEL_VERSION: Final = sa.Table(
    "model_version",
    METADATA,
    sa.Column("model", Words, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("package", Words, nullable=False),
    sa.Column("package_signature", Words, nullable=False),
    sa.Column("manifest", Nested, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("created_by", Words, nullable=False),
    sa.UniqueConstraint("model", "package"),
)

RUN: Final = sa.Table(
    "run",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("workload", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("inputs_digest", Words, nullable=False),
    sa.Column("parameters", Nested, nullable=False),
    sa.Column("dataset", Words),
    sa.Column("commit", Words),
    sa.Column("dirty", sa.Boolean, nullable=False),
    sa.Column("environment_digest", Words, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("model_version", Words),
    sa.Column("metrics", Nested, nullable=False),
    sa.Column("error", Words),
    sa.Column("pid", sa.Integer),
    sa.Column("code_digest", Words, nullable=False, server_default=""),
    sa.Column("because", Words, nullable=False, server_default=""),
    sa.Column("principal", Words, nullable=False, server_default=""),
    sa.Column("artifacts", Nested, nullable=False, server_default="{}"),
    sa.Index(None, "workload", "inputs_digest"),
    sa.Index("ix_run_started", "started_at", "id"),
    sa.Index("ix_run_workload_started", "workload", "started_at", "id"),
)

RUN_METRIC: Final = sa.Table(
    "run_metric",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("run", Words, primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Index(None, "name", "value"),
)

STEP: Final = sa.Table(
    "step",
    METADATA,
    sa.Column("run", Words, primary_key=True),
    sa.Column("name", Words, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("key", Words, nullable=False),
    sa.Column("because", Words, nullable=False),
    sa.Column("needs", Nested, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("attempts", Nested, nullable=False),
    sa.Column("output", Nested),
    sa.Column("cached_from", Words),
    sa.Column("metrics", Nested, nullable=False),
    sa.Column("parts", Nested, nullable=False),
    sa.Column("usage", Nested, nullable=False),
    sa.Index(None, "key"),
)

ENDPOINT: Final = sa.Table(
    "endpoint",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("workload", Words, nullable=False),
    sa.Column("deployments", Nested, nullable=False),
    sa.Column("past", Nested, nullable=False),
    sa.Column("policy", Nested, nullable=False),
    sa.Column("loaded", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("shadow", Nested),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

ROLLOUT: Final = sa.Table(
    "rollout",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("endpoint", Words, nullable=False),
    sa.Column("candidate", Words, nullable=False),
    sa.Column("candidate_version", Words, nullable=False),
    sa.Column("stable", Words, nullable=False),
    sa.Column("stable_version", Words, nullable=False),
    sa.Column("plan", Nested, nullable=False),
    sa.Column("stage", Words, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("began_at", sa.Double, nullable=False),
    sa.Column("stage_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("because", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("approvals", Nested, nullable=False),
    sa.Column("stage_s", sa.Double, nullable=False),
    sa.Column("stage_requests", sa.BigInteger, nullable=False),
    sa.Column("running_s", sa.Double, nullable=False),
    sa.Column("looked_at", sa.Double, nullable=False),
    sa.Column("quiet_s", sa.Double, nullable=False),
    sa.Column("unread", sa.Boolean, nullable=False),
    sa.Column("memory_bytes", sa.BigInteger, nullable=False),
    sa.Column("unjudged", sa.Boolean, nullable=False),
    sa.Column("waits_for", Nested, nullable=False),
    sa.Column("evidence", Nested, nullable=False),
    sa.Column("cursor", Words, nullable=False),
    sa.Column("judgement", Nested),
    sa.Column("comparison", Nested, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "endpoint"),
)

EXPERIMENT: Final = sa.Table(
    "experiment",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("endpoint", Words, nullable=False),
    sa.Column("first", Words, nullable=False),
    sa.Column("first_version", Words, nullable=False),
    sa.Column("second", Words, nullable=False),
    sa.Column("second_version", Words, nullable=False),
    sa.Column("share_bp", sa.Integer, nullable=False),
    sa.Column("goal", Nested, nullable=False),
    sa.Column("began_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("because", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("sums", Nested, nullable=False),
    sa.Column("cursor", Words, nullable=False),
    sa.Column("result", Nested),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "endpoint"),
)

GATE_REPORT: Final = sa.Table(
    "gate_report",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("version", Words, nullable=False),
    sa.Column("package", Words, nullable=False),
    sa.Column("champion", Words),
    sa.Column("verdict", Words, nullable=False),
    sa.Column("because", Words, nullable=False),
    sa.Column("rows", Nested, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("page", Words, nullable=False),
    sa.Column("document", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("rules", Words, nullable=False),
    sa.Column("measured", sa.Boolean, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("override", Nested),
    sa.Index(None, "package"),
)

WORKLOAD: Final = sa.Table(
    "workload",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("folder", Words, nullable=False),
    sa.Column("digest", Words, nullable=False),
    sa.Column("workload", Nested, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("overrides", Nested, nullable=False),
    sa.Column("data", Words, nullable=False),
    sa.Column("scheduled_from", sa.Double, nullable=False),
    sa.Column("paused", Words, nullable=False),
    sa.Column("fault", Words, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

RETRAINING: Final = sa.Table(
    "retraining",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("workload", Words, nullable=False),
    sa.Column("trigger", Words, nullable=False),
    sa.Column("because", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("asked_at", sa.Double, nullable=False),
    sa.Column("signal", Words, nullable=False),
    sa.Column("source", Words, nullable=False),
    sa.Column("location", Words, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Column("place", Words, nullable=False),
    sa.Column("pid", sa.Integer),
    sa.Column("data", Words, nullable=False),
    sa.Column("outcome", Words, nullable=False),
    sa.Column("run", Words),
    sa.Column("model_version", Words),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "workload", "state"),
)

TRACKED: Final = sa.Table(
    "tracked",
    METADATA,
    sa.Column("run", Words, primary_key=True),
    sa.Column("url", Words, primary_key=True),
    sa.Column("digest", Words, nullable=False),
    sa.Column("mlflow_run", Words, nullable=False),
    sa.Column("mlflow_version", Words, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

LABEL: Final = sa.Table(
    "label",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("prediction_id", Words, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("endpoint", Words, nullable=False),
    sa.Column("deployment", Words, nullable=False),
    sa.Column("role", Words, nullable=False),
    sa.Column("predicted_at", sa.Double, nullable=False),
    sa.Column("value", Nested, nullable=False),
    sa.Column("outputs", Nested, nullable=False),
    sa.Column("loss", sa.Double),
    sa.Column("measure", Words, nullable=False),
    sa.Column("added_at", sa.Double, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("source", Words, nullable=False),
    sa.Column("corrects", sa.Boolean, nullable=False),
    sa.Column("slices", Nested, nullable=False),
    sa.Index(None, "prediction_id"),
    sa.Index(None, "endpoint", "number"),
    sa.Index(None, "endpoint", "deployment", "predicted_at"),
)

SHADOW: Final = sa.Table(
    "shadow",
    METADATA,
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("deployment", Words, nullable=False),
    sa.Column("version", Words, nullable=False),
    sa.Column("share_bp", sa.Integer, nullable=False),
    sa.Column("difference_max", sa.Double, nullable=False),
    sa.Column("began_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("because", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("cursor", Words, nullable=False),
    sa.Column("comparison", Nested, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

API_KEY: Final = sa.Table(
    "api_key",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("digest", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("role", Words, nullable=False),
    sa.Column("endpoints", Nested, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
    sa.Column("replaced_by", Words),
    sa.Column("certificate", Words, nullable=False, server_default=""),
    sa.Column("priority", Words, nullable=False, server_default="normal"),
    sa.Column("limits", Nested, nullable=False, server_default="{}"),
)

CHANGE: Final = sa.Table(
    "change",
    METADATA,
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("kind", Words, nullable=False),
    sa.Column("subject", Words, nullable=False),
    sa.Column("because", Words, nullable=False),
    sa.Column("traffic", Nested),
    sa.Column("versions", Nested, nullable=False),
    sa.Index(None, "subject"),
)

ALERT: Final = sa.Table(
    "alert",
    METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("body", Nested, nullable=False),
    sa.Index(None, "state"),
)

ALERT_SILENCE: Final = sa.Table(
    "alert_silence",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("body", Nested, nullable=False),
)

ALERT_LOOK: Final = sa.Table(
    "alert_look",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # 1: there is one
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("body", Nested, nullable=False),
)

ALERT_DELIVERY: Final = sa.Table(
    "alert_delivery",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("state", Words, nullable=False),
    sa.Column("workload", Words, nullable=False),
    sa.Column("receiver", Words, nullable=False),
    sa.Column("severity", Words, nullable=False),
    sa.Column("answer", Words, nullable=False),
    sa.Column("made_at", sa.Double, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),
    sa.Column("body", Nested, nullable=False),
    sa.Index(None, "state", "due_at"),
)


def row_of(value: object) -> dict[str, object]:
    """Return a dataclass as a row: a column of that name for each field."""
    row: dict[str, object] = msgspec.to_builtins(value)
    return row


def value_of(row: RowMapping, kind: type[Value]) -> Value:
    """Return the dataclass that `row_of` made a row of."""
    return msgspec.convert({str(name): held for name, held in row.items()}, type=kind)


def next_number(connection: Connection, column: sa.Column[int], *of: sa.ColumnElement[bool]) -> int:
    """Return the number after the largest in a column, among the rows that `of` names.

    Whoever keeps it does so within the same `Database.writing`: nobody else can take it.
    """
    largest = connection.execute(sa.select(sa.func.max(column)).where(*of)).scalar_one()
    return 1 + int(largest or 0)


SERIES: Final = sa.Table(
    "series",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", Words, nullable=False, unique=True),
    sa.Column("newest", sa.BigInteger, nullable=False),
)

SERIES_SAMPLE: Final = sa.Table(
    "series_sample",
    METADATA,
    sa.Column("series", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("weight", sa.Double, nullable=False),
    sa.Column("total", sa.Double, nullable=False),
    sa.Column("least", sa.Double, nullable=False),
    sa.Column("greatest", sa.Double, nullable=False),
)

PROFILE_REFERENCE: Final = sa.Table(
    "profile_reference",
    METADATA,
    sa.Column("package", Words, primary_key=True),
    sa.Column("made_at", sa.Double, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

PROFILE_PART: Final = sa.Table(
    "profile_part",
    METADATA,
    sa.Column("segment", Words, primary_key=True),
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("counted_at", sa.Double, nullable=False),
)

PROFILE_WINDOW: Final = sa.Table(
    "profile_window",
    METADATA,
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("deployment", Words, primary_key=True),
    sa.Column("package", Words, primary_key=True),
    sa.Column("seconds", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

TRAFFIC_WINDOW: Final = sa.Table(
    "traffic_window",
    METADATA,
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("deployment", Words, primary_key=True),
    sa.Column("seconds", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

PROFILE_WAITING: Final = sa.Table(
    "profile_waiting",
    METADATA,
    sa.Column("package", Words, primary_key=True),
    sa.Column("segment", Words, primary_key=True),
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("records", sa.BigInteger, nullable=False),
)

PROFILE_MARK: Final = sa.Table(
    "profile_mark",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("value", Words, nullable=False),
)

LOSS_WATCH: Final = sa.Table(
    "loss_watch",
    METADATA,
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("cursor", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

FEEDBACK: Final = sa.Table(
    "feedback",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("entry", Words, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("endpoint", Words, nullable=False),
    sa.Column("deployment", Words, nullable=False),
    sa.Column("prediction_id", Words, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("author", Words, nullable=False),
    sa.Column("principal", Words, nullable=False),
    sa.Column("rating", Words, nullable=False),
    sa.Column("correction", Nested),
    sa.Column("comment", Words, nullable=False),
    sa.Column("subject", Words, nullable=False),
    sa.Column("consent_version", Words, nullable=False),
    sa.Column("consent_digest", Words, nullable=False),
    sa.Column("consent_scope", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("because", Words, nullable=False),
    sa.Index(None, "endpoint", "at"),
    sa.Index(None, "prediction_id"),
    sa.Index(None, "subject"),
)

CONSENT_TEXT: Final = sa.Table(
    "consent_text",
    METADATA,
    sa.Column("endpoint", Words, primary_key=True),
    sa.Column("version", Words, primary_key=True),
    sa.Column("digest", Words, primary_key=True),
    sa.Column("text", Words, nullable=False),
    sa.Column("scope", Words, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

FEEDBACK_CLOSED: Final = sa.Table(
    "feedback_closed",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("until", sa.Double, nullable=False),
)
