"""Files of behaviour tests: rows in YAML, CSV or Parquet."""

from pathlib import Path

from servewell.core.catalog.behaviour import BehaviourTest
from servewell.ports.evaluator import BehaviourFileError


def read_behaviours(path: Path) -> tuple[BehaviourTest, ...]:
    """Read the tests of a file.

    Raises: BehaviourFileError.
    """
    raise BehaviourFileError(
        f"The behaviour tests in {path} cannot be read.",
        why="files of this kind are not known",
        fix="write the rows as YAML, CSV or Parquet",
    )
