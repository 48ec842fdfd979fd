"""The first tables: what a home with one workload needs, and the history that stays."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

SQLITE_GUARD: Final = """
    CREATE TRIGGER change_not_{verb} BEFORE {verb} ON change
    BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END
"""
POSTGRESQL_REFUSAL: Final = """
    CREATE FUNCTION change_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the history is append-only'; END $$
"""
POSTGRESQL_GUARD: Final = """
    CREATE TRIGGER change_not_altered BEFORE UPDATE OR DELETE OR TRUNCATE ON change
    FOR EACH STATEMENT EXECUTE FUNCTION change_is_append_only()
"""


def upgrade() -> None:
    """Make the tables and the guards of the history."""
    _versions()
    _runs()
    _endpoints_and_keys()
    _history()


def _versions() -> None:
    op.create_table(
        "dataset_version",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name="pk_dataset_version"),
        sa.UniqueConstraint("name", "digest", name="uq_dataset_version_name_digest"),
    )
    op.create_table(
        "model_version",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("package_signature", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model", "number", name="pk_model_version"),
        sa.UniqueConstraint("model", "package", name="uq_model_version_model_package"),
    )


def _runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("inputs_digest", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text()),
        sa.Column("commit", sa.Text()),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("environment_digest", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("model_version", sa.Text()),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("pid", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_index("ix_run_workload_inputs_digest", "run", ["workload", "inputs_digest"])


def _endpoints_and_keys() -> None:
    op.create_table(
        "endpoint",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("workload", sa.Text(), nullable=False),
        sa.Column("deployments", sa.Text(), nullable=False),
        sa.Column("past", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_endpoint"),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("endpoints", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.Column("replaced_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
    )


def _history() -> None:
    op.create_table(
        "change",
        sa.Column("revision", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("traffic", sa.Text()),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_change"),
    )
    op.create_index("ix_change_subject", "change", ["subject"])
    if op.get_context().dialect.name == "sqlite":
        op.execute(SQLITE_GUARD.format(verb="update"))
        op.execute(SQLITE_GUARD.format(verb="delete"))
    else:
        op.execute(POSTGRESQL_REFUSAL)
        op.execute(POSTGRESQL_GUARD)
