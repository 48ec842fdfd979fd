"""Find out where the time of a prediction goes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from servewell.core.catalog.model import ModelVersion
from servewell.flows.optimise_model import Wish, plan_optimisation
from servewell.flows.platform import Platform
from servewell.ports.optimiser import Profile, ProfileJob, Step

REPORT: Final = "profile.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A version, and where its time goes."""

    version: ModelVersion
    profile: Profile


def profile_model(
    platform: Platform,
    wish: Wish,
    *,
    rows: int,
    draw: Callable[[Profiled], str],
    progress: Callable[[Step], None],
) -> tuple[Profiled, Path]:
    """Profile a version with requests of so many rows; return it with the path of the report.

    Raises: ModelMissingError, NotOptimisableError, BlobMissingError, BlobCorruptError,
    StateUnavailableError, and as `Optimiser.profile`.
    """
    plan = plan_optimisation(platform, wish, keep=False)
    profile = platform.optimiser.profile(ProfileJob(subject=plan.subject, rows=rows), progress)
    done = Profiled(version=plan.version, profile=profile)
    return done, platform.optimiser.keep(plan.subject.run, REPORT, draw(done))
