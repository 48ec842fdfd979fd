"""Measuring of rows: the facts that the data contract is judged by."""

from dataclasses import dataclass, field
from pathlib import Path

from servewell.core.catalog.signature import Input, Value
from servewell.core.catalog.workload import HeldOut


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuestion:
    """Which rows to measure, and what to hold them against."""

    data: Path  # Parquet: the rows of the version that is judged
    inputs: tuple[Input, ...]  # of its signature, with what the workload declares of them
    label: str | None = None
    held_out: HeldOut | None = None
    before: Path | None = None  # Parquet: the last training data
    before_name: str = ""  # `flights:3`
    before_held_out: HeldOut | None = None  # which of its rows that model did not learn from
    requests: dict[str, list[Value]] = field(default_factory=dict)  # recent rows by input
