"""How right the predictions of an endpoint are, without labels and with them."""

from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.model import ModelVersion
from servewell.core.catalog.quality import QualityReport
from servewell.core.catalog.quality_reference import QualityReference
from servewell.core.catalog.signal import Signal
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.loss_watch import followed
from servewell.core.operations.monitoring.quality import report
from servewell.core.operations.monitoring.quality_signals import signals_of
from servewell.core.operations.monitoring.quality_window import Facts, Span, look_back, spans_of
from servewell.flows.platform import Platform

QUALITY_FILE: Final = "quality-reference.json"  # among the files of a package
LABELS_AT_ONCE: Final = 5_000
TURNS: Final = 20  # of one duty, so that others get theirs


def quality_of(
    platform: Platform,
    endpoint: str,
    *,
    now: float,
    since: float | None = None,
    until: float | None = None,
) -> tuple[QualityReport, ...]:
    """Return what is known of the predictions of each deployment of an endpoint.

    Times are in seconds since the epoch, UTC; without them it is the look back of the rules.

    Raises: EndpointMissingError, StateUnavailableError.
    """
    found = platform.endpoints.get(endpoint)
    rules = quality_rules(platform, found)
    first, last = look_back(now, rules)
    start, end = first if since is None else since, last if until is None else until
    spans = spans_of(start, end, days=rules.window_days)
    return tuple(
        report(_facts(platform, found, one, spans=spans), rules) for one in found.deployments
    )


def quality_signals(platform: Platform, *, now: float) -> tuple[Signal, ...]:
    """Return what is to be said of the rightness of everything that is served.

    Raises: StateUnavailableError.
    """
    return tuple(
        signal
        for endpoint in platform.endpoints.list()
        for found in quality_of(platform, endpoint.name, now=now)
        for signal in signals_of(found, quality_rules(platform, endpoint), now=now)
    )


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
    known = next((w for w in platform.workloads.list() if w.name == endpoint.workload), None)
    return known.workload.monitoring.quality if known else QualityRules()


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


def _facts(
    platform: Platform,
    endpoint: Endpoint,
    deployment: Deployment,
    *,
    spans: tuple[Span, ...],
) -> Facts:
    name, version = endpoint.name, _version(platform, deployment)
    whole = {"since": spans[0].start, "until": spans[-1].until}
    return Facts(
        endpoint=name,
        deployment=deployment.name,
        version=version.name,
        made_at=version.created_at,
        spans=spans,
        profiles=tuple(
            platform.profiles.total(name, deployment.name, since=one.start, until=one.until)
            for one in spans
        ),
        labels=platform.labels.between(name, deployment.name, **whole),
        bins=platform.profiles.reference(deployment.package),
        reference=_reference(platform, version),
        watched=platform.loss_watches.of(name).deployments.get(deployment.name),
    )


def _version(platform: Platform, deployment: Deployment) -> ModelVersion:
    return platform.registry.get(deployment.model, deployment.version)


def _reference(platform: Platform, version: ModelVersion) -> QualityReference | None:
    """Return what was signed with a version of its rightness; None where it came without."""
    digest = version.manifest.files.get(QUALITY_FILE)
    if digest is None:
        return None
    return msgspec.json.decode(platform.blobs.read(digest), type=QualityReference)
