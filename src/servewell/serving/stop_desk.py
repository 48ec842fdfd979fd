"""Emergency stops that callers order of a worker, which needs nobody else for it."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.signature import Signature
from servewell.core.catalog.stop import StopOrder
from servewell.core.operations.stopping import (
    StopWish,
    decide_stop,
    main_deployment,
    order_for,
)
from servewell.errors import ServewellError
from servewell.ports.clock import Clock
from servewell.ports.stops import Stops
from servewell.ports.storage import StorageError
from servewell.serving.exchange import Exchange
from servewell.serving.protocols.oip_pages import JSON
from servewell.serving.protocols.stop import StopBody, resume_body, stop_body
from servewell.serving.refusals import (
    ChangeNotMadeError,
    EndpointUnknownError,
    RequestError,
    StopRefusedError,
)
from servewell.serving.served import ServedEndpoint
from servewell.serving.telemetry.logs import log
from servewell.serving.turns import Turns

WAIT_S: Final = 2.0  # for this worker to serve what was ordered; it is in force all the same
LOOK_AGAIN_S: Final = 0.02
OVER_HTTP: Final = "asked over HTTP"

Serving = Callable[[], ServedEndpoint | None]  # the endpoint as it is served at the moment


class StopDesk:
    """Takes orders to stop and to resume, and sees them through."""

    def __init__(  # noqa: PLR0913  (what it takes to judge an order)
        self,
        loop: asyncio.AbstractEventLoop,
        turns: Turns,
        *,
        stops: Stops,
        clock: Clock,
        endpoint: Callable[[str], Endpoint | None],
        signature: Callable[[Deployment], Signature],
    ) -> None:
        """`signature` reads what a deployment takes and gives; it raises ServewellError."""
        self._loop = loop
        self._turns = turns
        self._stops = stops
        self._clock = clock
        self._endpoint = endpoint
        self._signature = signature
        self._tasks: set[asyncio.Task[None]] = set()

    def knows(self, endpoint: str) -> bool:
        """Whether there is such an endpoint, also where nothing of it is loaded yet."""
        return self._endpoint(endpoint) is not None

    def take(self, exchange: Exchange, body: bytes, *, stop: bool, serving: Serving) -> None:
        """Stop or resume the endpoint of a request; the request is answered then."""
        work = self._stop if stop else self._resume
        task = self._loop.create_task(self._see_through(exchange, work, body, serving))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(
        self,
        exchange: Exchange,
        work: Callable[[Exchange, bytes], tuple[StopOrder | None, bool]],
        body: bytes,
        serving: Serving,
    ) -> None:
        try:
            order, done = await asyncio.to_thread(work, exchange, body)
            here = await self._until_served(order, serving)
            told = _answer(exchange.known_endpoint, order, done=done, here=here)
            exchange.head, exchange.body = JSON, told
        except RequestError as error:
            exchange.error = error
        except Exception as error:  # noqa: BLE001  (a fault of ours ends the connection concerned)
            log.fault("stop_failed", "An emergency stop could not be seen through.", error)
            exchange.caller.abort()
            return
        self._turns.finish(exchange)

    def _stop(self, exchange: Exchange, body: bytes) -> tuple[StopOrder, bool]:
        """Put an order into force. In a thread. Raises: RequestError."""
        wish = stop_body(body)
        try:
            order = self._decided(exchange, wish)
            self._stops.put(order)
        except StorageError as error:
            raise _not_made(error) from error
        except ServewellError as error:
            raise StopRefusedError(error.what, why=error.why, fix=error.fix) from error
        return order, True

    def _decided(self, exchange: Exchange, asked: StopBody) -> StopOrder:
        endpoint = self._endpoint(exchange.known_endpoint)
        if endpoint is None:
            raise EndpointUnknownError(
                "There is no endpoint of that name.",
                why="it has gone since the request came",
                fix="`servewell endpoints list` shows those of this home",
            )
        wish = StopWish(
            fallback=asked.fallback,
            constant=asked.constant,
            because=asked.because,
            principal=_principal(exchange),
            at=self._clock.now(),
        )
        main = main_deployment(endpoint)
        signature = self._signature(main) if asked.constant and main else None
        return decide_stop(endpoint, wish, signature)

    def _resume(self, exchange: Exchange, body: bytes) -> tuple[StopOrder | None, bool]:
        """Lift the stop; return what holds then. In a thread. Raises: RequestError."""
        asked = resume_body(body)
        try:
            done = self._stops.lift(
                exchange.known_endpoint,
                because=asked.because or OVER_HTTP,
                principal=_principal(exchange),
                at=self._clock.now(),
            )
            held = order_for(self._stops.current(), exchange.known_endpoint)
        except ServewellError as error:
            raise _not_made(error) from error
        return held, done

    async def _until_served(self, order: StopOrder | None, serving: Serving) -> bool:
        """Wait until this worker does what was ordered; whether it does in time."""
        end = self._loop.time() + WAIT_S
        while self._loop.time() < end:
            endpoint = serving()
            stopped = endpoint.stopped if endpoint else None
            if (stopped.order if stopped else None) == order:
                return True
            await asyncio.sleep(LOOK_AGAIN_S)
        return False


def _principal(exchange: Exchange) -> str:
    return exchange.grant.principal if exchange.grant else ""


def _answer(endpoint: str, order: StopOrder | None, *, done: bool, here: bool) -> bytes:
    told: dict[str, object] = {"endpoint": endpoint, "stopped": order is not None}
    told |= {"carried_out": done, "in_force_here": here}
    if order is not None:
        told |= {"mode": order.mode, "deployment": order.deployment, "outputs": order.outputs}
        told |= {"because": order.because, "principal": order.principal, "at": order.at}
    return msgspec.json.encode(told)


def _not_made(error: ServewellError) -> ChangeNotMadeError:
    return ChangeNotMadeError(error.what, why=error.why, fix=error.fix)
