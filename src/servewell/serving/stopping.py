"""Endpoints that somebody stopped, as a worker serves them."""

import time
from dataclasses import replace
from typing import Final

from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.stop import StopMode, StopOrder
from servewell.core.operations.stopping import describe_stop, main_deployment, order_for
from servewell.errors import ServewellError
from servewell.ports.stops import Stops
from servewell.serving.metrics import WorkerMeter
from servewell.serving.package import Package, Shelf, constant_package
from servewell.serving.runtimes.model import ModelUnusableError
from servewell.serving.served import Served, ServedEndpoint, Stopped
from servewell.serving.telemetry.logs import log

CONSTANT: Final = "(constant)"  # no deployment has such a name
REFUSED: Final = Stopped()
RETRY_S: Final = 1.0  # after stops that could not be read
UNREAD: Final = object()  # no token of stops that could be read


class KnownStops:
    """The stops that are in force, as they could be read last."""

    def __init__(self, stops: Stops) -> None:
        self._stops = stops
        self._token: object = UNREAD
        self._failed: object = UNREAD  # the token of those that could not be read,
        self._retry_at = 0.0  # and when that is tried again, by `time.monotonic`
        self.orders: tuple[StopOrder, ...] | None = None  # None until they could be read
        self.fault = ""  # why they cannot be read

    @property
    def changed(self) -> bool:
        """Whether there is something newer to read."""
        token = self._stops.token()
        if self._token is UNREAD and token == self._failed:
            return time.monotonic() >= self._retry_at
        return token != self._token

    def read(self) -> None:
        """Read them. What was known stays where that cannot be done. In a thread."""
        token = self._stops.token()
        self.fault = self._read()
        self._token = UNREAD if self.fault else token
        self._failed, self._retry_at = token, time.monotonic() + RETRY_S

    def _read(self) -> str:
        """Return why they cannot be read, or nothing."""
        try:
            self.orders = self._stops.current()
        except ServewellError as error:
            return f"{error.what} {error.why}."
        except Exception as error:  # noqa: BLE001  (a stop that cannot be read ends no worker)
            return f"The stops cannot be read: {type(error).__name__} ({error})."
        return ""


def _tell(orders: tuple[StopOrder, ...] | None) -> None:
    if orders is None:
        log.error("stops_unreadable", "The worker cannot read the stops, and refuses everything.")
        return
    told = [f"{one.endpoint} {describe_stop(one)}" for one in orders]
    log.info("stops_loaded", "The worker obeys other emergency stops than before.", stops=told)


class Stopping:
    """Applies the stops that are in force to the endpoints of a table."""

    def __init__(self, shelf: Shelf, *, meter: WorkerMeter) -> None:
        self._shelf = shelf
        self._meter = meter
        self._constants: dict[str, tuple[StopOrder, str, Package]] = {}  # by endpoint
        self._orders: dict[str, StopOrder] | None = {}

    def order(self, orders: tuple[StopOrder, ...] | None) -> None:
        """Carry out these stops from the next table on; None where it is not known what holds.

        Then every endpoint refuses its requests: a stop that cannot be read may not end by that.
        """
        before = self._orders
        self._orders = None if orders is None else {one.endpoint: one for one in orders}
        if self._orders != before:
            _tell(orders)
        self._constants = {
            name: kept
            for name, kept in self._constants.items()
            if self._orders and self._orders.get(name) == kept[0]
        }

    def applied(self, endpoint: Endpoint, served: ServedEndpoint) -> ServedEndpoint:
        """Return an endpoint as it is to be served: as it is, where nobody stopped it."""
        if self._orders is None:
            return replace(served, stopped=REFUSED)
        order = order_for(self._orders.values(), endpoint.name)
        stopped = None if order is None else self._stopped(endpoint, served, order)
        return replace(served, stopped=stopped)

    def _stopped(self, endpoint: Endpoint, served: ServedEndpoint, order: StopOrder) -> Stopped:
        if order.mode is StopMode.REFUSE:
            return Stopped(order=order)
        if order.mode is StopMode.FALLBACK:
            found = served.deployments.get(order.deployment)
            lacks = "" if found else f"`{order.deployment}` is not loaded"
            return Stopped(order=order, served=found, lacks=lacks)
        try:
            return Stopped(order=order, served=self._constant(endpoint, order))
        except ModelUnusableError as error:
            return Stopped(order=order, lacks=error.why)

    def _constant(self, endpoint: Endpoint, order: StopOrder) -> Served:
        """Return what answers like the main deployment, and always the same.

        Of that deployment it takes the manifest alone, so it answers also where no model loads.
        """
        main = main_deployment(endpoint)
        if main is None:
            raise ModelUnusableError(
                "The answer that was ordered cannot be given.",
                why="no deployment says what the endpoint takes",
                fix="deploy a version",
            )
        known = self._constants.get(endpoint.name)
        if known is None or known[1] != main.package:
            package = constant_package(main, self._shelf, order.outputs)
            known = self._constants[endpoint.name] = (order, main.package, package)
        named = replace(main, name=CONSTANT, share_bp=0)
        meter = self._meter.deployment(endpoint.name, CONSTANT)
        served = Served(endpoint, named, package=known[2], meter=meter)
        served.model = ""  # no model has answered
        return served
