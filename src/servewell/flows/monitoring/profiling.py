"""Count what was recorded into profiles, as it is filed, each record once."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Endpoint, EndpointPolicy
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.profile import ReferenceProfile
from servewell.core.catalog.series_names import COMPACTED, PROFILED
from servewell.errors import ServewellError
from servewell.flows.monitoring.drift import monitoring_rules
from servewell.flows.monitoring.figures import keep_known, known_until
from servewell.flows.platform import Platform
from servewell.ports.blobs import BlobCorruptError, BlobMissingError
from servewell.ports.profiles import Part

REFERENCE_FILE: Final = "reference-profile.json"  # among the files of a package
PARTS_AT_ONCE: Final = 50
TURNS: Final = 40  # of one duty, so that others get theirs
FIRST_ROWS: Final = 10_000  # of live ones, that a version without rows of its own is held against


class ReferenceDamagedError(ServewellError):
    """The reference profile that was signed with a version cannot be read."""

    code = "SW-434"


class LogReplacedError(ServewellError):
    """The prediction log ends before the place up to which it was counted."""

    code = "SW-546"


def keep_profiles(platform: Platform) -> None:
    """Count the parts of the prediction log that were not counted yet; a duty of control.

    It may be killed at any moment and loses nothing: the next one goes on from there.

    Raises: StateUnavailableError, StorageError; at the end, each once,
    LogReplacedError and ReferenceDamagedError.
    """
    known = _Known(platform)
    compacted = known_until(platform, COMPACTED)
    for _ in range(TURNS):
        if not _count_next(platform, known):
            if compacted is not None:
                now = platform.clock.now()
                keep_known(platform, PROFILED, until=compacted, now=now)
            break
    _count_waiting(platform, known)
    platform.profile_parts.forget(platform.clock.now())
    for error in known.found_out:
        raise error


def reference_in(platform: Platform, version: ModelVersion) -> ReferenceProfile | None:
    """Return the reference profile that was signed with a version; None where it came without.

    Raises: ReferenceDamagedError, StorageError.
    """
    digest = version.manifest.files.get(REFERENCE_FILE)
    if digest is None:
        return None
    try:
        made = msgspec.json.decode(platform.blobs.read(digest), type=ReferenceProfile)
    except (BlobCorruptError, BlobMissingError, msgspec.DecodeError) as error:
        raise _damaged(version, error) from error
    return replace(made, package=version.package, version=version.name)


@dataclass
class _Known:
    """What one turn of the duty looks up, once."""

    platform: Platform
    references: dict[str, ReferenceProfile | None] = field(default_factory=dict)
    found_out: list[ServewellError] = field(default_factory=list)  # now, and not known before
    fresh: set[str] = field(default_factory=set)  # packages with rows that wait since now

    @cached_property
    def versions(self) -> dict[str, ModelVersion]:
        return {one.package: one for one in self.platform.registry.list()}

    @cached_property
    def endpoints(self) -> dict[str, Endpoint]:
        return {one.name: one for one in self.platform.endpoints.list()}

    def objective_ms(self, endpoint: str) -> float:
        found = self.endpoints.get(endpoint)
        policy = found.policy if found else EndpointPolicy()
        return policy.latency_objective_ms

    def slices(self, endpoint: str) -> tuple[str, ...]:
        found = self.endpoints.get(endpoint)
        return monitoring_rules(self.platform, found).slices if found else ()

    def reference(self, package: str) -> ReferenceProfile | None:
        if package not in self.references:
            self.references[package] = self._found(package)
        return self.references[package]

    def keep(self, reference: ReferenceProfile | None) -> ReferenceProfile | None:
        """Keep a reference profile that was made now, if it was; return the one that is kept."""
        if reference is None:
            return None
        self.platform.profiles.keep_reference(reference)
        kept = self.platform.profiles.reference(reference.package)  # of two, the first one
        self.references[reference.package] = kept
        return kept

    def _found(self, package: str) -> ReferenceProfile | None:
        kept = self.platform.profiles.reference(package)
        if kept is not None or package not in self.versions:
            return kept
        try:
            return self.keep(reference_in(self.platform, self.versions[package]))
        except ReferenceDamagedError as error:
            if self.platform.reference_damages.note(package, error.why):
                self.found_out.append(error)
            return None


def _count_next(platform: Platform, known: _Known) -> bool:
    """Count the next parts; return whether there are more."""
    parts, counting = platform.profile_parts, platform.record_counting
    cursor = parts.cursor()
    filed = counting.filed(cursor, most=PARTS_AT_ONCE, now=platform.clock.now())
    if filed.is_other_log:
        known.found_out.append(_replaced())
    for part in parts.uncounted(filed.parts):
        counted = counting.count(
            part,
            references=known.reference,
            objective_ms=known.objective_ms(part.endpoint),
            now=platform.clock.now(),
        )
        parts.add(counted)
        known.fresh.update(counted.waiting)
    if filed.cursor != cursor:
        parts.advance(filed.cursor)
    return filed.more


def _count_waiting(platform: Platform, known: _Known) -> None:
    """Count the rows that waited for a reference profile, where there is one by now."""
    for package, parts in platform.profile_parts.waiting().items():
        reference = known.reference(package)
        if reference is None and package in known.fresh:
            reference = known.keep(_first_rows(platform, known, package, parts))
        if reference is not None:
            _add_waiting(platform, reference, parts)


def _add_waiting(platform: Platform, reference: ReferenceProfile, parts: tuple[Part, ...]) -> None:
    now = platform.clock.now()
    for part in parts:
        windows = platform.record_counting.count_package(part, reference, now=now)
        platform.profile_parts.add_waiting(part, reference.package, windows)


def _first_rows(
    platform: Platform, known: _Known, package: str, parts: tuple[Part, ...]
) -> ReferenceProfile | None:
    """Return a reference profile of the first rows, once there are enough of them."""
    version = known.versions.get(package)
    if version is None or sum(one.records for one in parts) < FIRST_ROWS:
        return None
    made = platform.record_counting.first_rows(
        parts,
        package,
        version.manifest.signature,
        most=FIRST_ROWS,
        slices=known.slices(parts[0].endpoint),
    )
    return made and replace(made, package=package, version=version.name)


def _damaged(version: ModelVersion, error: Exception) -> ReferenceDamagedError:
    return ReferenceDamagedError(
        f"The reference profile of `{version.name}` cannot be read.",
        why=f"{error.what if isinstance(error, ServewellError) else error}",
        fix="restore the blobs of this home from a backup before callers were answered "
        f"{FIRST_ROWS:,} rows: from then on the version is held against those for good",
    )


def _replaced() -> LogReplacedError:
    return LogReplacedError(
        "The prediction log is not the one that was counted until now.",
        why="it ends before the place up to which it was counted: it was restored from a backup, "
        "or another folder stands in its place",
        fix="nothing, if that was meant: what it holds of the last seven days and was not counted "
        "is counted now",
    )
