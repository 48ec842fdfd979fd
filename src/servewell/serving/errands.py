"""Changes that callers ask for: given to the control process, answered once they are served.

A worker changes nothing by itself. It waits on the loop, beside its other requests.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from servewell.errors import ServewellError
from servewell.ports.clock import Clock
from servewell.ports.errands import Errand, Errands
from servewell.serving.exchange import Exchange
from servewell.serving.refusals import ChangeNotMadeError
from servewell.serving.served import ServedEndpoint
from servewell.serving.telemetry.logs import log
from servewell.serving.turns import Turns

WAIT_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.02

Serving = Callable[[], ServedEndpoint | None]  # the endpoint as it is served at the moment


class ErrandDesk:
    """Takes what callers want changed, and sees it through."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, turns: Turns, *, errands: Errands, clock: Clock
    ) -> None:
        self._loop = loop
        self._turns = turns
        self._errands = errands
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, exchange: Exchange, *, loaded: bool, serving: Serving) -> None:
        """Have the endpoint of a request loaded or unloaded; the request is answered then."""
        errand = Errand(
            id=exchange.prediction_id,
            endpoint=exchange.known_endpoint,
            loaded=loaded,
            principal=exchange.grant.principal if exchange.grant else "",
            until=self._clock.now() + WAIT_S,
        )
        task = self._loop.create_task(self._see_through(exchange, errand, serving))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, exchange: Exchange, errand: Errand, serving: Serving) -> None:
        try:
            await self._try(exchange, errand, serving)
            await asyncio.to_thread(self._errands.withdraw, errand.id)
        except Exception as error:  # noqa: BLE001  (a fault of ours ends the connection concerned)
            log.fault("errand_failed", "A change could not be seen through.", error)
            exchange.caller.abort()
        else:
            self._turns.finish(exchange)

    async def _try(self, exchange: Exchange, errand: Errand, serving: Serving) -> None:
        try:
            await asyncio.to_thread(self._errands.give, errand)
            await asyncio.wait_for(self._done(errand, serving), WAIT_S)
        except TimeoutError:
            exchange.error = _not_made(errand, _why_late(errand, serving()))
        except ChangeNotMadeError as error:
            exchange.error = error
        except ServewellError as error:
            exchange.error = _not_made(errand, f"{error.what} {error.why}")

    async def _done(self, errand: Errand, serving: Serving) -> None:
        """Wait until the control process has done it and this worker serves it.

        Raises: ChangeNotMadeError.
        """
        while (report := await asyncio.to_thread(self._errands.report, errand.id)) is None:  # noqa: ASYNC110  (no event comes from another process)
            await asyncio.sleep(LOOK_AGAIN_S)
        if report.fault:
            raise _not_made(errand, report.fault)
        while not _is_served(errand, serving()):  # noqa: ASYNC110  (the same)
            await asyncio.sleep(LOOK_AGAIN_S)


def _is_served(errand: Errand, endpoint: ServedEndpoint | None) -> bool:
    return endpoint is not None and endpoint.loaded == errand.loaded == endpoint.ready


def _why_late(errand: Errand, endpoint: ServedEndpoint | None) -> str:
    if endpoint is not None and endpoint.loaded == errand.loaded:
        return "its models are not loaded yet, or cannot be"
    return f"the control process did not do it within {WAIT_S:g} s"


def _not_made(errand: Errand, why: str) -> ChangeNotMadeError:
    done = "loaded" if errand.loaded else "unloaded"
    return ChangeNotMadeError(
        f"The endpoint `{errand.endpoint}` is not {done}.",
        why=why.rstrip("."),
        fix="`servewell status` shows whether the control process runs and what stands in the "
        "way; then ask again",
    )
