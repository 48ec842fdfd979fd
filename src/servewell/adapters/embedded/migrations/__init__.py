"""How the tables of the state came to be, one file a step, run in order by Alembic.

Belongs here: `versions/v<number>_<what>.py`, never changed once released.
Imports: `alembic`, `sqlalchemy`; `env` also the tables, to compare them.
"""
