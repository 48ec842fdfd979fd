"""What is wrong with reference profiles, in the database of the state."""

from typing import Final

import sqlalchemy as sa

from servewell.adapters.embedded.database import Database
from servewell.adapters.embedded.state_tables import PROFILE_MARK, PROFILE_REFERENCE

DAMAGED: Final = "damaged reference "  # and the package: the name of its mark


class SqlReferenceDamages:
    """`ReferenceDamages` in SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, package: str, because: str) -> bool:
        """See `ReferenceDamages.note`."""
        marks = PROFILE_MARK.c
        name = DAMAGED + package
        with self._database.writing() as connection:
            if connection.execute(sa.select(marks.name).where(marks.name == name)).first():
                return False
            connection.execute(sa.insert(PROFILE_MARK).values(name=name, value=because))
        return True

    def noted(self) -> dict[str, str]:
        """See `ReferenceDamages.noted`."""
        marks = PROFILE_MARK.c
        query = sa.select(marks.name, marks.value).where(marks.name.startswith(DAMAGED))
        with self._database.reading() as connection:
            found = {name.removeprefix(DAMAGED): why for name, why in connection.execute(query)}
            if not found:
                return {}
            packages = PROFILE_REFERENCE.c.package
            kept = set(connection.scalars(sa.select(packages).where(packages.in_(found))))
        return {package: why for package, why in found.items() if package not in kept}
