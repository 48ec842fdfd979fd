"""Who may read a dataset, and which versions have had their time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from servewell.core.catalog.dataset import ColumnStatistics, DatasetPolicy, DatasetVersion
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_values import NAME_PATTERN
from servewell.errors import ServewellError

DAY_S: Final = 86_400.0
NUMBER_DIGITS_MAX: Final = 9
NOBODY: Final = "nobody"


class DatasetRefusedError(ServewellError):
    """A principal may not read or change a dataset."""

    code = "SW-223"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """What is to be another one of a policy; what is not said stays."""

    owner: str | None = None
    readers: tuple[str, ...] = ()  # `nobody` for none beside the owner
    anyone: bool = False  # may read it
    retention_days: int | None = None
    keep: bool = False  # without an end
    personal: tuple[str, ...] = ()  # columns, beside those that are

    @property
    def says_anything(self) -> bool:
        """Whether anything is to be another one."""
        return self != PolicyChange()


def changed(policy: DatasetPolicy, change: PolicyChange) -> DatasetPolicy:
    """Return a policy with what is to be another one of it."""
    named = tuple(one for one in dict.fromkeys(change.readers) if one != NOBODY)
    readers = named if change.readers else policy.readers
    return DatasetPolicy(
        name=policy.name,
        owner=change.owner or policy.owner,
        readers=None if change.anyone else readers,
        retention_days=None if change.keep else change.retention_days or policy.retention_days,
        personal=tuple(dict.fromkeys((*policy.personal, *change.personal))),
    )


def refusal(policy: DatasetPolicy | None, principal: str, *, owning: bool) -> str:
    """Return why a principal may not read a dataset, or change it where `owning`; else empty.

    A dataset without a policy belongs to whoever uses the home. The owner may do everything.
    """
    if policy is None or principal == policy.owner:
        return ""
    if owning:
        return f"it belongs to {policy.owner}, and only its owner changes it"
    if policy.readers is None or principal in policy.readers:
        return ""
    others = ", ".join(policy.readers) or "nobody else"
    return f"it belongs to {policy.owner}, and beside its owner {others} may read it"


def refused(name: str, principal: str, why: str) -> DatasetRefusedError:
    """Return the error that says so."""
    return DatasetRefusedError(
        f"{principal} may not do this with the dataset `{name}`.",
        why=why,
        fix=f"ask its owner for `servewell data access {name} --reader {principal}`",
    )


class DatasetReferenceError(ServewellError):
    """What should say which dataset version is meant does not."""

    code = "SW-147"


class DatasetRemovedError(ServewellError):
    """The rows of a dataset version are no longer kept."""

    code = "SW-425"


def read_reference(text: str) -> tuple[str, int | None]:
    """Return the name and the number in `NAME` or `NAME:NUMBER`; None for the newest.

    Raises: DatasetReferenceError.
    """
    name, colon, number = text.partition(":")
    digits = number.isdecimal() and number.isascii() and 0 < len(number) <= NUMBER_DIGITS_MAX
    if re.fullmatch(NAME_PATTERN, name) and (digits or not colon):
        return name, int(number) if colon else None
    raise _no_dataset(text)


def dataset_name(text: str) -> str:
    """Return a name, where it is one without a number.

    Raises: DatasetReferenceError.
    """
    name, number = read_reference(text)
    if number is not None:
        raise _no_dataset(text)
    return name


def _no_dataset(text: str) -> DatasetReferenceError:
    return DatasetReferenceError(
        f"`{text[:80]}` is no dataset.",
        why="a name is of lower-case letters, digits and hyphens, a letter first, at most 63 "
        "characters; a version is a number behind a colon",
        fix="write it like `flights` or `flights:3`; `servewell data list` lists what there is",
    )


def removed_error(version: DatasetVersion) -> DatasetRemovedError:
    """Return the error that says that rows are gone."""
    return DatasetRemovedError(
        f"The rows of {version.reference} are no longer kept.",
        why=version.removed_because,
        fix=f"add them again from `{version.source}`, or name another version",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Rows to remove, and what stays of the version."""

    version: DatasetVersion  # as it is kept from now on
    remove: bool  # whether no other version has the same content
    because: str


def end_version(
    version: DatasetVersion,
    *,
    now: float,
    because: str,
    models: Sequence[str],
    others: Sequence[DatasetVersion],
) -> Ending:
    """Return what removing the rows of a version does.

    What was measured of them stays only where a registered model names the version: then its
    lineage can still say what it learned from.
    """
    stays = f"; what is said of it stays, because {', '.join(models)} learned from it"
    why = because + (stays if models else "")
    gone = replace(
        version,
        removed_at=now,
        removed_because=why,
        statistics=version.statistics if models else (),
    )
    same = [one for one in others if one.digest == version.digest and one.removed_at is None]
    alone = all(one.reference == version.reference for one in same)
    return Ending(version=gone, remove=alone, because=why)


def personal_columns(
    version: DatasetVersion,
    *,
    policy: DatasetPolicy | None,
    workloads: Iterable[Workload],
    endpoints: Iterable[Endpoint],
) -> frozenset[str]:
    """Return the columns of a version of which no value is told, whoever called them personal.

    That are its dataset, its statistics, and the workloads that learn from it with their endpoints.
    """
    own = [one for one in workloads if _dataset_of(one) == version.name]
    names = {one.workload for one in own}
    return frozenset(
        (
            *(policy.personal if policy else ()),
            *(one.name for one in version.statistics if one.personal),
            *(name for one in own for name, rule in one.inputs.items() if rule.personal),
            *(name for one in endpoints if one.workload in names for name in one.policy.personal),
        )
    )


def _dataset_of(workload: Workload) -> str:
    named = workload.data.dataset if workload.data else ""
    return named.partition(":")[0] or workload.workload


def without_values(version: DatasetVersion, hidden: AbstractSet[str]) -> DatasetVersion:
    """Return a version whose statistics tell no value of some columns."""
    statistics = tuple(
        ColumnStatistics(
            name=one.name,
            kind=one.kind,
            missing=one.missing,
            distinct=one.distinct,
            personal=True,
        )
        if one.name in hidden
        else one
        for one in version.statistics
    )
    return replace(version, statistics=statistics)


def unfinished(versions: Sequence[DatasetVersion]) -> tuple[str, ...]:
    """Return the digests of rows that were removed and that no version has any more."""
    living = {one.digest for one in versions if one.removed_at is None}
    gone = dict.fromkeys(one.digest for one in versions if one.removed_at is not None)
    return tuple(one for one in gone if one not in living)


def past_retention(
    versions: Sequence[DatasetVersion], policies: Mapping[str, DatasetPolicy], *, now: float
) -> tuple[DatasetVersion, ...]:
    """Return the versions whose rows have been kept for as long as their policy says."""
    return tuple(
        one
        for one in versions
        if one.removed_at is None
        and (policy := policies.get(one.name))
        and policy.retention_days is not None
        and one.created_at <= now - policy.retention_days * DAY_S
    )
