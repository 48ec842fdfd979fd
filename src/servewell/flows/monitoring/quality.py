"""How right the predictions of an endpoint are, without labels and with them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.label import Label, LossSum
from servewell.core.catalog.loss_watch import Watched
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.profile import EVERYTHING
from servewell.core.catalog.quality import QualityReport
from servewell.core.catalog.quality_reference import QualityReference
from servewell.core.catalog.signal import Signal
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.loss_watch import followed
from servewell.core.operations.monitoring.quality import report
from servewell.core.operations.monitoring.quality_signals import signals_of
from servewell.core.operations.monitoring.quality_window import (
    DAY_S,
    Facts,
    Span,
    look_back,
    spans_of,
)
from servewell.core.operations.traffic import DeploymentMissingError
from servewell.errors import ServewellError
from servewell.flows.monitoring.held_labels import LABELS_AT_ONCE, pages_of_labels
from servewell.flows.platform import Platform
from servewell.ports.labels import LabelQuery
from servewell.ports.workloads import WorkloadMissingError

QUALITY_FILE: Final = "quality-reference.json"  # among the files of a package
WINDOWS_MAX: Final = 200
TURNS: Final = 20  # of one duty, so that others get theirs


class LookBackError(ServewellError):
    """The time that quality is asked of is none, or has too many windows."""

    code = "SW-172"


class QualityDamagedError(ServewellError):
    """What was signed with a version of its rightness on held-out rows cannot be read."""

    code = "SW-436"


class SliceUnknownError(ServewellError):
    """Nothing is known of the quality of a slice."""

    code = "SW-264"


def quality_of(  # noqa: PLR0913 - of what, of when, and how much is read for it
    platform: Platform,
    endpoint: str,
    *,
    now: float,
    since: float | None = None,
    until: float | None = None,
    in_sums: bool = False,
) -> tuple[QualityReport, ...]:
    """Return what is known of the predictions of each deployment of an endpoint.

    Times are in seconds since the epoch, UTC; without them it is the look back of the rules.
    `in_sums` reads the sums of the losses in place of the labels: it costs little however many
    there are, and of what labels say it has the headline of all rows alone, with its verdict.

    Raises: EndpointMissingError, LookBackError, QualityDamagedError, StateUnavailableError,
    StorageError.
    """
    found = platform.endpoints.get(endpoint)
    rules = quality_rules(platform, found)
    start, end = _asked(look_back(now, rules), since, until, rules)
    spans = spans_of(start, end, days=rules.window_days)
    return tuple(
        report(_facts(platform, found, one, spans=spans, now=now, in_sums=in_sums), rules)
        for one in found.deployments
    )


def of_deployment(
    found: Sequence[QualityReport], endpoint: str, name: str | None
) -> tuple[QualityReport, ...]:
    """Return the report of one deployment, or all of them where none is named.

    Raises: DeploymentMissingError.
    """
    those = tuple(one for one in found if name in (None, one.deployment))
    if name is None or those:
        return those
    raise DeploymentMissingError(
        f"The endpoint `{endpoint}` has no deployment `{name}`.",
        why=f"it has {', '.join(f'`{one.deployment}`' for one in found) or 'none'}",
        fix="`servewell endpoints` lists them",
    )


def of_slice(found: QualityReport, name: str) -> QualityReport:
    """Return what is known of one slice, such as `origin=EWR`.

    Raises: SliceUnknownError.
    """
    metrics = tuple(one for one in found.metrics if one.slice == name)
    if metrics:
        return replace(found, metrics=metrics)
    known = sorted({one.slice for one in found.metrics if one.slice != EVERYTHING})
    raise SliceUnknownError(
        f"Nothing is known of the slice `{name}` of {found.version}.",
        why=f"its slices are {', '.join(f'`{one}`' for one in known)}"
        if known
        else "no slices were declared when it was made",
        fix="name inputs under `monitoring.slices` in the workload file; they count from the next "
        "version on",
    )


def quality_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return what is to be said of the rightness of everything that answers requests.

    It takes the sums of the losses alone, so that it costs little however many labels there are.

    Raises: StateUnavailableError, StorageError.
    """
    found: list[Signal] = []
    for endpoint in platform.endpoints.list():
        rules = quality_rules(platform, endpoint)
        spans = spans_of(*look_back(now, rules), days=rules.window_days)
        for deployment in endpoint.deployments:
            if deployment.name in endpoint.traffic:
                facts = _facts(platform, endpoint, deployment, spans=spans, now=now, in_sums=True)
                found += signals_of(report(facts, rules), now=now)
    return tuple(found)


def watch_losses(platform: Platform) -> None:
    """Follow the losses of all labels that came, each once; a duty of the control process.

    Raises: StateUnavailableError.
    """
    for endpoint in platform.endpoints.list():
        for _ in range(TURNS):
            if not _followed(platform, endpoint):
                break


def quality_rules(platform: Platform, endpoint: Endpoint) -> QualityRules:
    """Return the rules that hold for an endpoint: its workload's, or the usual ones."""
    try:
        return platform.workloads.get(endpoint.workload).workload.monitoring.quality
    except WorkloadMissingError:
        return QualityRules()


def _asked(
    usual: tuple[float, float], since: float | None, until: float | None, rules: QualityRules
) -> tuple[float, float]:
    """Return the time that is asked of. Raises: LookBackError."""
    end = usual[1] if until is None else until
    start = end - (usual[1] - usual[0]) if since is None else since
    length = rules.window_days * DAY_S
    if not 0 < end - start <= WINDOWS_MAX * length:
        raise LookBackError(
            "There is no quality to be told of this time.",
            why="it ends before it begins"
            if end <= start
            else f"it has more than {WINDOWS_MAX} windows of {rules.window_days} days",
            fix="correct --since and --until, or raise `monitoring.quality.window_days` in the "
            "workload file",
        )
    return start, end


def _followed(platform: Platform, endpoint: Endpoint) -> bool:
    """Follow the next labels of an endpoint; return whether there may be more."""
    watch = platform.loss_watches.of(endpoint.name)
    labels = platform.labels.since(watch.cursor, endpoint=endpoint.name, limit=LABELS_AT_ONCE)
    if not labels:
        return False
    held = {one.name: _reference(platform, _version(platform, one)) for one in endpoint.deployments}
    scales = {name: one.loss_scale for name, one in held.items() if one}
    kept = platform.loss_watches.advance(
        followed(watch, labels, scales=scales), cursor=watch.cursor
    )
    return kept and len(labels) == LABELS_AT_ONCE


def _facts(  # noqa: PLR0913 - of what, of when, and how much is read for it
    platform: Platform,
    endpoint: Endpoint,
    deployment: Deployment,
    *,
    spans: tuple[Span, ...],
    now: float,
    in_sums: bool = False,
) -> Facts:
    name, version = endpoint.name, _version(platform, deployment)
    watched = _watched(platform, name, deployment.name, now=now)
    query = LabelQuery(
        endpoint=name, deployment=deployment.name, since=spans[0].start, until=spans[-1].until
    )
    return Facts(
        endpoint=name,
        deployment=deployment.name,
        version=version.name,
        package=deployment.package,
        made_at=version.created_at,
        spans=spans,
        profiles=tuple(
            platform.profiles.total(name, deployment.name, since=one.start, until=one.until)
            for one in spans
        ),
        labels=() if in_sums else _by_prediction(platform, query),
        sums=tuple(
            platform.labels.losses(
                name, deployment.name, since=one.start, until=one.until, known_at=now
            )
            for one in spans
        )
        if in_sums
        else None,
        bins=platform.profiles.reference(deployment.package),
        reference=_reference(platform, version),
        watched=watched,
        since_cut=_since_cut(platform, name, deployment.name, watched, spans=spans, now=now),
    )


def _watched(platform: Platform, endpoint: str, deployment: str, *, now: float) -> Watched | None:
    """Return how far the losses were watched, with the changes that were known by then."""
    found = platform.loss_watches.of(endpoint).deployments.get(deployment)
    if found is None:
        return None
    known = (one for one in found.cuts if max(one.found_at, one.known_at) <= now)
    return replace(found, cuts=tuple(known))


def _since_cut(  # noqa: PLR0913 - of what, of when, and as of when
    platform: Platform,
    endpoint: str,
    deployment: str,
    watched: Watched | None,
    *,
    spans: tuple[Span, ...],
    now: float,
) -> LossSum | None:
    """Return the losses since the last change, as they are by now; None where there was none."""
    if watched is None or not watched.cuts:
        return None
    return platform.labels.losses(
        endpoint,
        deployment,
        since=max(watched.cuts[-1].at, spans[0].start),
        until=spans[-1].until,
        known_at=now,
        most=watched.scale,
    )


def _by_prediction(platform: Platform, query: LabelQuery) -> tuple[Label, ...]:
    """Return the labels that hold, the oldest prediction first."""
    found = chain.from_iterable(pages_of_labels(platform, query))
    return tuple(sorted(found, key=lambda one: (one.predicted_at, one.number)))


def _version(platform: Platform, deployment: Deployment) -> ModelVersion:
    return platform.registry.get(deployment.model, deployment.version)


def _reference(platform: Platform, version: ModelVersion) -> QualityReference | None:
    """Return what was signed with a version of its rightness; None where it came without.

    Raises: QualityDamagedError, StorageError.
    """
    digest = version.manifest.files.get(QUALITY_FILE)
    if digest is None:
        return None
    try:
        return msgspec.json.decode(platform.blobs.read(digest), type=QualityReference)
    except msgspec.DecodeError as error:
        raise QualityDamagedError(
            f"What {version.name} was signed with of its held-out rows cannot be read.",
            why=str(error),
            fix="make the version again: `servewell retrain start WORKLOAD`",
        ) from error
