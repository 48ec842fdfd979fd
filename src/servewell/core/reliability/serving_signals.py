"""Turn the state of the processes, the records and the disk into what a person is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL, Endpoint
from servewell.core.catalog.series import Sample
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.catalog.stop import EVERY, StopMode, StopOrder

DISK_PAGE: Final = 0.03  # share that is free
DISK_TICKET: Final = 0.1
BEHIND_S: Final = 60.0  # a worker takes up a snapshot within some seconds, unless a model is slow


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One worker that runs."""

    index: int
    ready: bool
    behind: bool  # it serves from an older snapshot than the newest
    fault: str = ""
    at: float  # seconds since the epoch, UTC, when it said so


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFacts:
    """What is known of the home."""

    now: float  # seconds since the epoch, UTC
    wanted: int  # workers; 0 where nothing is to run
    supervisor: bool
    control: bool
    workers: tuple[WorkerState, ...] = ()
    alive: int = 0  # worker processes
    disk_free: float = 1.0  # share
    records_lost: Sequence[Sample] = ()  # as the workers count them, over the last hour
    ready: Sequence[Sample] = ()  # workers, over the last hour
    left_out: float = 0.0  # points of series that there was no room for, within the last hour
    endpoints: tuple[Endpoint, ...] = ()
    stops: tuple[StopOrder, ...] = ()


def serving_signals_of(facts: ServingFacts) -> Iterator[Signal]:
    """Yield what is wrong with what serves. Raises: nothing."""
    if facts.wanted:
        yield from _workers(facts)
        yield from _control(facts)
        yield from _behind(facts)
    yield from _lost(facts)
    yield from _disk(facts)
    yield from _left_out(facts)
    for endpoint in facts.endpoints:
        yield from _quarantine(endpoint, facts.now)
    yield from map(_stopped, facts.stops)


def began(samples: Sequence[Sample], bad: Sequence[bool], *, otherwise: float) -> float:
    """Return when the unbroken run of bad samples at the end began. Units: seconds (epoch)."""
    since = otherwise
    for one, is_bad in zip(reversed(samples), reversed(bad), strict=True):
        if not is_bad:
            break
        since = float(one.start)
    return since


def _workers(facts: ServingFacts) -> Iterator[Signal]:
    ready = sum(one.ready for one in facts.workers)
    if ready >= facts.wanted:
        return
    faults = "; ".join(
        f"worker {one.index}: {one.fault}" for one in facts.workers if one.fault and not one.ready
    )
    yield Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET if ready else Severity.PAGE,
        endpoint="",
        subject="workers",
        since=began(
            facts.ready, [one.least < facts.wanted for one in facts.ready], otherwise=facts.now
        ),
        what=f"{ready} of {facts.wanted} workers are ready."
        if ready
        else f"No worker is ready, of {facts.wanted}: nothing is answered.",
        because=faults
        or f"{facts.alive} of their processes run"
        + ("" if facts.supervisor else ", and there is no supervisor to start others"),
        value=float(ready),
        bound=float(facts.wanted),
        points=_points("ready workers", "workers", facts.ready, bound=float(facts.wanted)),
        command="servewell status" if facts.supervisor else "servewell up FOLDER",
        runbook="workers-down",
    )


def _control(facts: ServingFacts) -> Iterator[Signal]:
    missing = [
        name
        for name, runs in (("supervisor", facts.supervisor), ("control process", facts.control))
        if not runs
    ]
    if missing:
        yield Signal(
            kind=SignalKind.SERVING,
            severity=Severity.TICKET,
            endpoint="",
            subject="control",
            since=facts.now,
            what=f"The {' and the '.join(missing)} is not running.",
            because="workers serve on from what they have; nothing is changed, counted or watched",
            command="servewell up FOLDER",
            runbook="control-down",
        )


def _behind(facts: ServingFacts) -> Iterator[Signal]:
    found = [one for one in facts.workers if one.behind and facts.now - one.at > BEHIND_S]
    if found:
        named = ", ".join(str(one.index) for one in found)
        yield Signal(
            kind=SignalKind.SERVING,
            severity=Severity.TICKET,
            endpoint="",
            subject="snapshot",
            since=min(one.at for one in found),
            what=f"Worker {named} serves from an older snapshot than the newest.",
            because=next((one.fault for one in found if one.fault), "") or "it has not taken it up",
            value=float(len(found)),
            command="servewell status",
            runbook="stale-snapshot",
        )


def _lost(facts: ServingFacts) -> Iterator[Signal]:
    samples = facts.records_lost
    grown = [later.greatest - before.greatest for before, later in pairwise(samples)]
    lost = sum(max(one, 0.0) for one in grown)
    if lost:
        yield Signal(
            kind=SignalKind.SERVING,
            severity=Severity.TICKET,
            endpoint="",
            subject="records",
            since=float(
                next(at.start for at, by in zip(samples[1:], grown, strict=True) if by > 0)
            ),
            what=f"{lost:,.0f} prediction records were lost in the last hour.",
            because="workers answered and could not write the record",
            value=lost,
            bound=0.0,
            points=_points("records lost", "records", samples),
            command="servewell doctor",
            runbook="records-lost",
        )


def _disk(facts: ServingFacts) -> Iterator[Signal]:
    if facts.disk_free < DISK_TICKET:
        full = facts.disk_free < DISK_PAGE
        bound = DISK_PAGE if full else DISK_TICKET
        yield Signal(
            kind=SignalKind.ROOM,
            severity=Severity.PAGE if full else Severity.TICKET,
            endpoint="",
            subject="disk",
            since=facts.now,
            what=f"{facts.disk_free:.1%} of the disk of the home is free.",
            because=f"less than {bound:.0%}; without room no record is written, and no change kept",
            value=facts.disk_free,
            bound=bound,
            command="servewell doctor",
            runbook="disk-full",
        )


def _left_out(facts: ServingFacts) -> Iterator[Signal]:
    if facts.left_out:
        yield Signal(
            kind=SignalKind.ROOM,
            severity=Severity.TICKET,
            endpoint="",
            subject="series",
            since=facts.now,
            what=f"{facts.left_out:,.0f} points of figures were not kept in the last hour.",
            because="there are more columns than a home keeps figures of: these show no anomaly",
            value=facts.left_out,
            command="servewell health",
            runbook="series-left-out",
        )


def _quarantine(endpoint: Endpoint, now: float) -> Iterator[Signal]:
    for one in endpoint.deployments:
        if one.quarantined:
            yield Signal(
                kind=SignalKind.SERVING,
                severity=Severity.PAGE if one.share_bp == BP_FULL else Severity.TICKET,
                endpoint=endpoint.name,
                deployment=one.name,
                subject="quarantine",
                since=now,
                what=f"`{one.name}` of `{endpoint.name}` is in quarantine.",
                because=one.quarantined,
                command=f"servewell endpoints show {endpoint.name}",
                runbook="quarantine",
            )


def _stopped(order: StopOrder) -> Signal:
    refused = order.mode is StopMode.REFUSE
    every = order.endpoint == EVERY
    named = "Every endpoint" if every else f"`{order.endpoint}`"
    instead = "refuses its requests" if refused else f"is answered by its {order.mode.value}"
    return Signal(
        kind=SignalKind.SERVING,
        severity=Severity.TICKET,
        endpoint="" if every else order.endpoint,
        subject="stop",
        since=order.at,
        what=f"{named} is stopped: it {instead}.",
        because=f"{order.principal} ordered it: {order.because}",
        command="servewell resume '*'" if every else f"servewell resume {order.endpoint}",
        runbook="emergency-stop",
    )


def _points(
    name: str, unit: str, samples: Sequence[Sample], *, bound: float | None = None
) -> tuple[Points, ...]:
    if not samples:
        return ()
    return (
        Points(
            name=name,
            unit=unit,
            times=tuple(float(one.start) for one in samples),
            values=tuple(one.mean for one in samples),
            bound=bound,
        ),
    )
