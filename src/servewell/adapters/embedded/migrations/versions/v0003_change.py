"""What safe change needs: rollouts, and the copies that a shadow gets."""

import json
import math
from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """Make the tables; what is served stays as it is."""
    op.add_column("endpoint", sa.Column("shadow", sa.Text()))
    _rollouts()
    _experiments()
    _steps()
    _runs()
    _retraining()
    _gates()
    _datasets()
    _labels()
    _shadows()


def _rollouts() -> None:
    op.create_table(
        "rollout",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("candidate", sa.Text(), nullable=False),
        sa.Column("candidate_version", sa.Text(), nullable=False),
        sa.Column("stable", sa.Text(), nullable=False),
        sa.Column("stable_version", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("stage_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("approvals", sa.Text(), nullable=False),
        sa.Column("stage_s", sa.Double(), nullable=False),
        sa.Column("stage_requests", sa.BigInteger(), nullable=False),
        sa.Column("running_s", sa.Double(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=False),
        sa.Column("quiet_s", sa.Double(), nullable=False),
        sa.Column("unread", sa.Boolean(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("unjudged", sa.Boolean(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("judgement", sa.Text()),
        sa.Column("comparison", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollout"),
    )
    op.create_index("ix_rollout_endpoint", "rollout", ["endpoint"])


def _experiments() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("first_version", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=False),
        sa.Column("second_version", sa.Text(), nullable=False),
        sa.Column("share_bp", sa.Integer(), nullable=False),
        sa.Column("goal", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_experiment"),
    )
    op.create_index("ix_experiment_endpoint", "experiment", ["endpoint"])


def _gates() -> None:
    op.create_table(
        "gate_report",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("champion", sa.Text()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("measured", sa.Boolean(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("override", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_gate_report"),
    )
    op.create_index("ix_gate_report_package", "gate_report", ["package"])


def _retraining() -> None:
    op.create_table(
        "workload",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("overrides", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("scheduled_from", sa.Double(), nullable=False),
        sa.Column("paused", sa.Text(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workload"),
    )
    op.create_table(
        "retraining",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("signal", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer()),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("run", sa.Text()),
        sa.Column("model_version", sa.Text()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retraining"),
    )
    op.create_index("ix_retraining_workload_state", "retraining", ["workload", "state"])
    op.create_table(
        "tracked",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("mlflow_run", sa.Text(), nullable=False),
        sa.Column("mlflow_version", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("run", "url", name="pk_tracked"),
    )


def _steps() -> None:
    op.create_table(
        "step",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("needs", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.Column("output", sa.Text()),
        sa.Column("cached_from", sa.Text()),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("usage", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "name", name="pk_step"),
    )
    op.create_index("ix_step_key", "step", ["key"])


def _runs() -> None:
    for name in ("code_digest", "because", "principal"):
        op.add_column("run", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("run", sa.Column("artifacts", sa.Text(), nullable=False, server_default="{}"))
    op.create_index("ix_run_started", "run", ["started_at", "id"])
    op.create_index("ix_run_workload_started", "run", ["workload", "started_at", "id"])
    metrics = op.create_table(
        "run_metric",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "run", name="pk_run_metric"),
    )
    op.create_index("ix_run_metric_name_value", "run_metric", ["name", "value"])
    runs = sa.table("run", sa.column("id", sa.Text()), sa.column("metrics", sa.Text()))
    rows = [
        {"name": name, "run": run, "value": value}
        for run, told in op.get_bind().execute(sa.select(runs.c.id, runs.c.metrics)).all()
        for name, value in json.loads(told).items()
        if math.isfinite(value)
    ]
    if rows:
        op.bulk_insert(metrics, rows)


def _datasets() -> None:
    statistics = sa.Column("statistics", sa.Text(), nullable=False, server_default="[]")
    because = sa.Column("removed_because", sa.Text(), nullable=False, server_default="")
    op.add_column("dataset_version", statistics)
    op.add_column("dataset_version", sa.Column("removed_at", sa.Double()))
    op.add_column("dataset_version", because)
    op.create_table(
        "dataset",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("readers", sa.Text()),
        sa.Column("retention_days", sa.Integer()),
        sa.Column("personal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_dataset"),
    )


def _labels() -> None:
    op.create_table(
        "label",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("prediction_id", sa.Text(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("predicted_at", sa.Double(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("loss", sa.Double()),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("corrects", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_label"),
    )
    op.create_index("ix_label_prediction_id", "label", ["prediction_id"])
    op.create_index("ix_label_endpoint_number", "label", ["endpoint", "number"])


def _shadows() -> None:
    op.create_table(
        "shadow",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("share_bp", sa.Integer(), nullable=False),
        sa.Column("difference_max", sa.Double(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("comparison", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name="pk_shadow"),
    )
