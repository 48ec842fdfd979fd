"""Add what is true of predictions, as it becomes known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.label import Told
from servewell.core.operations.labelled import Labelled, labelled
from servewell.core.operations.told_labels import (
    Fault,
    LabelColumns,
    faulty,
    require_columns,
    told_in,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform

AT_ONCE: Final = 5_000  # labels
FAULTS_KEPT: Final = 20
UNKNOWN_KEPT: Final = 20
SUBJECT: Final = "labels"  # of the history

Progress = Callable[[int], None]  # so many rows more


class LabelsUnknownError(ServewellError):
    """More labels of a file than may be are of predictions that have no record."""

    code = "SW-278"


@dataclass(slots=True, kw_only=True)
class Added:
    """What became of a file of labels."""

    source: str  # the file

    rows: int = 0
    added: int = 0
    corrected: int = 0
    repeated: int = 0
    unknown: int = 0  # predictions that have no record here
    unanswered: int = 0  # predictions, or rows of them, that were given no answer
    incomparable: int = 0  # labels that were kept, and do not speak of the outputs
    unknown_ids: list[str] = field(default_factory=list)  # the first few
    dry_run: bool = False


def add_labels(
    platform: Platform,
    path: Path,
    *,
    columns: LabelColumns,
    dry_run: bool = False,
    progress: Progress = lambda rows: None,  # noqa: ARG005 - nobody listens
) -> Added:
    """Keep the labels of a file, each beside what was predicted.

    The whole file is checked before any of it is kept. To do it again changes nothing. What was
    added, or is of no prediction here, is told in the history.

    Raises: LabelFaultsError, TableFaultsError, StateUnavailableError, StorageError.
    """
    rows = _check(platform, path, columns)
    sliced = sliced_inputs(platform)
    result = Added(source=path.name, dry_run=dry_run)
    for told in _told(platform, path, columns):
        found = labelled(
            told,
            list(platform.records.find({one.prediction_id for one in told}, inputs=bool(sliced))),
            sliced=sliced,
            added_at=platform.clock.now(),
            principal=platform.principal,
            source=path.name,
        )
        _count(result, found)
        kept = platform.labels.add(found.labels, dry_run=dry_run)
        result.added += kept.added
        result.corrected += kept.corrected
        result.repeated += kept.repeated
        progress(len(told))
    result.rows = rows
    if (result.added or result.corrected or result.unknown) and not dry_run:
        platform.history.keep(_change(platform, result))
    return result


def check_known(added: Added, *, unknown_max: float) -> None:
    """Refuse a file of which a larger share (0..1) is of predictions without a record.

    Raises: LabelsUnknownError.
    """
    if added.unknown > unknown_max * added.rows:
        raise LabelsUnknownError(
            f"{added.unknown:,} of the {added.rows:,} labels in `{added.source}` are of no "
            "prediction that has a record here.",
            why=f"more than {unknown_max:.0%} are: these predictions are of another home, past the "
            "retention of the records, or mistyped. All others are kept",
            fix="look at the ids; give the right file, or allow for more with `--unknown-max`",
        )


def sliced_inputs(platform: Platform) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return, by endpoint and deployment, the inputs that predictions are told apart by.

    Raises: StateUnavailableError.
    """
    references = {
        (endpoint.name, one.name): platform.profiles.reference(one.package)
        for endpoint in platform.endpoints.list()
        for one in endpoint.deployments
    }
    return {key: found.slices for key, found in references.items() if found and found.slices}


def _change(platform: Platform, added: Added) -> Change:
    known = added.added + added.corrected + added.repeated
    return Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=ChangeKind.LABELS,
        subject=SUBJECT,
        because=f"{added.source}: {added.rows:,} rows, {known:,} of known predictions ("
        f"{added.added:,} added, {added.corrected:,} corrected), {added.unknown:,} of unknown ones",
    )


def _check(platform: Platform, path: Path, columns: LabelColumns) -> int:
    """Return the number of rows of a file without faults. Raises: LabelFaultsError."""
    faults: list[Fault] = []
    more = rows = 0
    for batch in platform.tables.read(path, batch=AT_ONCE):
        require_columns(batch[0], columns, name=path.name)
        found = [one for one in told_in(batch, columns, first=rows + 1) if isinstance(one, Fault)]
        kept = found[: FAULTS_KEPT - len(faults)]
        faults += kept
        more += len(found) - len(kept)
        rows += len(batch)
    if faults:
        raise faulty(path.name, faults, more=more)
    return rows


def _told(platform: Platform, path: Path, columns: LabelColumns) -> Iterator[Sequence[Told]]:
    for batch in platform.tables.read(path, batch=AT_ONCE):
        yield [one for one in told_in(batch, columns, first=1) if isinstance(one, Told)]


def _count(result: Added, found: Labelled) -> None:
    result.unknown += len(found.unknown)
    result.unanswered += found.unanswered
    result.incomparable += sum(one.loss is None for one in found.labels)
    result.unknown_ids += found.unknown[: UNKNOWN_KEPT - len(result.unknown_ids)]
