"""Limits, priority and client certificates of keys; endpoints that are unloaded."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    """Give keys what their callers may ask for; those that exist keep all that they had."""
    op.add_column("api_key", sa.Column("certificate", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "api_key", sa.Column("priority", sa.Text(), nullable=False, server_default="normal")
    )
    op.add_column("api_key", sa.Column("limits", sa.Text(), nullable=False, server_default="{}"))
    op.add_column(
        "endpoint", sa.Column("loaded", sa.Boolean(), nullable=False, server_default=sa.true())
    )
