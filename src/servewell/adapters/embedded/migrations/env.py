"""What Alembic runs to migrate the connection that `Database.migrate` gives it."""

from alembic import context

from servewell.adapters.embedded.state_tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
