"""What watching needs: profiles of what deployments took and gave."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    """Make the tables; nothing that was kept before is touched."""
    _profiles()
    _quality()
    _series()
    _feedback()
    _alerts()


def _profiles() -> None:
    op.create_table(
        "profile_reference",
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("package", name="pk_profile_reference"),
    )
    op.create_table(
        "profile_part",
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("segment", "endpoint", "hour", name="pk_profile_part"),
    )
    op.create_table(
        "profile_waiting",
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "package", "segment", "endpoint", "hour", name="pk_profile_waiting"
        ),
    )
    op.create_table(
        "profile_mark",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_profile_mark"),
    )
    op.create_table(
        "profile_window",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "endpoint", "deployment", "package", "seconds", "start", name="pk_profile_window"
        ),
    )
    op.create_table(
        "traffic_window",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "endpoint", "deployment", "seconds", "start", name="pk_traffic_window"
        ),
    )


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
        sa.UniqueConstraint("name", name="uq_series_name"),
    )
    op.create_table(
        "series_sample",
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("least", sa.Double(), nullable=False),
        sa.Column("greatest", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("series", "step", "start", name="pk_series_sample"),
    )


def _quality() -> None:
    op.add_column("label", sa.Column("slices", sa.Text(), nullable=False, server_default="{}"))
    op.create_index(
        "ix_label_endpoint_deployment_predicted_at",
        "label",
        ["endpoint", "deployment", "predicted_at"],
    )
    op.create_table(
        "loss_watch",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name="pk_loss_watch"),
    )


def _feedback() -> None:
    words = ("entry", "endpoint", "deployment", "prediction_id", "author", "principal", "rating")
    more = ("comment", "subject", "consent_version", "consent_digest", "consent_scope", "state")
    op.create_table(
        "feedback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("correction", sa.Text()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*words, *more, "because")),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_endpoint_at", "feedback", ["endpoint", "at"])
    op.create_index("ix_feedback_prediction_id", "feedback", ["prediction_id"])
    op.create_index("ix_feedback_subject", "feedback", ["subject"])
    op.create_table(
        "consent_text",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("endpoint", "version", "digest", "text", "scope")
        ),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "version", "digest", name="pk_consent_text"),
    )
    op.create_table(
        "feedback_closed",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback_closed"),
    )


def _alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
    )
    op.create_index("ix_alert_state", "alert", ["state"])
    op.create_table(
        "alert_silence",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_silence"),
    )
    op.create_table(
        "alert_look",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_look"),
    )
    op.create_table(
        "alert_delivery",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_delivery"),
    )
    op.create_index("ix_alert_delivery_state_due_at", "alert_delivery", ["state", "due_at"])
