"""Stop an endpoint in an emergency, resume it, and tell the history of both."""

from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.model import manifest_from
from servewell.core.catalog.signature import Signature
from servewell.core.catalog.snapshot import SnapshotCorruptError
from servewell.core.catalog.stop import EVERY, Constant, StopNote, StopOrder
from servewell.core.operations.stopping import (
    StopWish,
    decide_stop,
    describe_stop,
    main_deployment,
    order_for,
    require_text,
    stops_digest,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.ports.endpoints import EndpointMissingError

OBEYED_WITHIN_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDone:
    """What was ordered, or lifted, and what came of it."""

    endpoint: str
    order: StopOrder | None  # None where it was lifted
    carried_out: bool  # False for a dry run, or where no stop was in force
    in_history: bool = False  # else the control process adds it, once the database is there
    others: StopOrder | None = None  # what holds for each endpoint without a stop of its own
    workers: int = 0  # alive
    behind: tuple[int, ...] = ()  # those of them that do not obey yet, by index

    @property
    def holds(self) -> bool:
        """Whether a worker obeys, or none is there that would not."""
        return not self.workers or len(self.behind) < self.workers


def stop_endpoint(  # noqa: PLR0913  (what may be ordered)
    platform: Platform,
    name: str,
    *,
    fallback: str = "",
    constant: dict[str, Constant] | None = None,
    because: str,
    dry_run: bool = False,
) -> StopDone:
    """Have an endpoint refuse its requests, or answer them in another way, until it is resumed.

    Asks neither the database nor the control process: what the workers serve says what there is.

    Raises: EndpointMissingError, FallbackMissingError, StopInvalidError, StorageError.
    """
    endpoint = _served(platform, name)
    main = main_deployment(endpoint)
    wish = StopWish(
        fallback=fallback,
        constant=constant or {},
        because=because,
        principal=platform.principal,
        at=platform.clock.now(),
    )
    signature = _signature(platform, main) if constant and main else None
    order = decide_stop(endpoint, wish, signature)
    if dry_run:
        return StopDone(endpoint=name, order=order, carried_out=False)
    platform.stops.put(order)
    return _done(platform, name, order)


def resume_endpoint(
    platform: Platform, name: str, *, because: str = "", dry_run: bool = False
) -> StopDone:
    """Lift the stop of an endpoint, if there is one.

    Raises: StopInvalidError, StopsCorruptError, StorageError.
    """
    require_text(because)
    orders = platform.stops.current()
    stopped = any(one.endpoint == name for one in orders)
    if dry_run or not stopped:
        others = order_for(orders, EVERY)
        return StopDone(endpoint=name, order=None, carried_out=False, others=others)
    platform.stops.lift(
        name, because=because, principal=platform.principal, at=platform.clock.now()
    )
    return _done(platform, name, None)


def stops_of(platform: Platform, endpoint: str = "") -> tuple[StopOrder, ...]:
    """Return the stops that are in force: the one that holds for an endpoint, or all.

    Raises: StopsCorruptError, StorageError.
    """
    orders = platform.stops.current()
    held = order_for(orders, endpoint)
    return orders if not endpoint else (held,) if held else ()


def tell_stops(platform: Platform) -> None:
    """Tell the history what was stopped and resumed, unless somebody else is at it.

    What was told, and not noted as such before a kill, is found in the history and not told again.

    Raises: StopsCorruptError, StateUnavailableError, StorageError.
    """
    with platform.stops.telling() as alone:
        for note in platform.stops.untold() if alone else ():
            change = _change(note)
            if not any(_same(one, change) for one in platform.history.changes(note.endpoint)):
                platform.history.keep(change)
            platform.stops.told(note)


def _done(platform: Platform, name: str, order: StopOrder | None) -> StopDone:
    """Return what became of an order in the workers, and then in the history."""
    workers, behind = _wait_obeyed(platform)
    return StopDone(
        endpoint=name,
        order=order,
        carried_out=True,
        others=order_for(platform.stops.current(), EVERY),
        workers=workers,
        behind=behind,
        in_history=_told(platform),
    )


def _wait_obeyed(platform: Platform) -> tuple[int, tuple[int, ...]]:
    """Wait until every live worker obeys; return how many there are, and those that do not yet."""
    end = platform.clock.now() + OBEYED_WITHIN_S
    while True:
        digest = stops_digest(platform.stops.current())
        obeying = {one.pid for one in platform.snapshots.reports() if one.stops == digest}
        alive = platform.fleet.state().workers
        behind = tuple(index for index, pid in sorted(alive.items()) if pid not in obeying)
        if not behind or not 0 < end - platform.clock.now() <= OBEYED_WITHIN_S:
            return len(alive), behind
        platform.clock.sleep(LOOK_AGAIN_S)


def _told(platform: Platform) -> bool:
    """Whether the history could be told at once; a stop never waits for that."""
    try:
        tell_stops(platform)
        return not platform.stops.untold()
    except ServewellError:
        return False


def _served(platform: Platform, name: str) -> Endpoint:
    try:
        snapshot = platform.snapshots.current()
    except SnapshotCorruptError:
        snapshot = platform.snapshots.previous()
    found = {one.name: one for one in snapshot.endpoints} if snapshot else {}
    if name not in found:
        known = ", ".join(f"`{one}`" for one in found) or "none"
        raise EndpointMissingError(
            f"There is no endpoint `{name}`.",
            why=f"the workers of this home serve: {known}",
            fix="name one of them; `servewell status` shows what is served",
        )
    return found[name]


def _signature(platform: Platform, deployment: Deployment) -> Signature:
    return manifest_from(platform.blobs.read(deployment.package)).signature


def _change(note: StopNote) -> Change:
    what = describe_stop(note.order) if note.order else "resumed: its models answer again"
    return Change(
        at=note.at,
        principal=note.principal,
        kind=ChangeKind.STOPPED if note.order else ChangeKind.RESUMED,
        subject=note.endpoint,
        because=": ".join(part for part in (note.because, what) if part),
    )


def _same(kept: Change, change: Change) -> bool:
    return (kept.at, kept.kind, kept.because) == (change.at, change.kind, change.because)
