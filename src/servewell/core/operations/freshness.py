"""Decide whether work must be done again: what a run depends on, and whether it changed."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from servewell.core.catalog.model import digest_of
from servewell.core.catalog.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDecision:
    """Whether to run, and the sentence that says why."""

    needed: bool
    because: str


def inputs_digest(parts: Mapping[str, object]) -> str:
    """Return one digest over everything that a run depends on; SHA-256, hex."""
    return digest_of(msgspec.json.encode(parts, order="sorted"))


def decide_run(*, last: Run | None, before: Run | None, package_kept: bool) -> RunDecision:
    """Return whether a run is needed.

    `last` is the newest run of exactly this work that succeeded, `before` the newest of the
    workload that succeeded at all, and `package_kept` whether what `last` made is still whole.
    """
    if last is None and before is None:
        return RunDecision(needed=True, because="this workload has no model yet")
    if last is None:
        return RunDecision(
            needed=True,
            because="the data, the code, a parameter or the environment changed since "
            f"{before.model_version if before else 'the last run'}",
        )
    if not package_kept:
        return RunDecision(
            needed=True, because=f"the package of {last.model_version} is missing or damaged"
        )
    return RunDecision(
        needed=False,
        because=f"data, code, parameters and environment are those of {last.model_version}",
    )
