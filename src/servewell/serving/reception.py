"""Where connections come in: accepted in turn with the other workers, greeted, counted, let go."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from servewell.ports.clock import Clock
from servewell.serving.answers import http_answer
from servewell.serving.connection import Connection
from servewell.serving.exchange import Exchange
from servewell.serving.metrics import WorkerMeter
from servewell.serving.protocols import oip
from servewell.serving.refusals import STATUS, NoRoomError, PlainHttpError, RequestError
from servewell.serving.siblings import Siblings
from servewell.serving.telemetry.logs import log
from servewell.serving.tls import Tls

YIELD_S: Final = 0.001  # that a busier worker leaves a new caller to the others,
YIELDS: Final = 8  # and how often, where they take none
HANDSHAKE_S: Final = 10.0
GOODBYE_S: Final = 2.0  # in which the other side may close TLS, too
SILENT_S: Final = 1  # after which a connection may be closed to make room for another
LOOK_S: Final = 1.0  # between looks at who is silent
DESCRIPTORS_KEPT: Final = 256  # for records, models, snapshots and what else the worker opens
UNREAD_BYTES: Final = 65_536
IDLE_GRACE_S: Final = 1  # seconds in which an idle caller may still send, while draining


class Reception:
    """The listener of one worker, and the connections that came through it."""

    def __init__(  # noqa: PLR0913  (what a worker has one of)
        self,
        listener: socket.socket,
        *,
        make: Callable[[Callable[[Connection], None]], Connection],
        siblings: Siblings,
        clock: Clock,
        meter: WorkerMeter,
        tls: Tls | None,
        connections_max: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make = make  # a connection that calls what it is given when it has ended
        self._siblings = siblings
        self._clock = clock
        self._meter = meter
        self._tls = tls
        self._connections_max = connections_max
        self._silent: list[Connection] = []  # who was silent at the last look, the longest last
        self._looked_at = float("-inf")
        self._accepting = False
        self._closed = False
        self._greetings: dict[Connection, asyncio.Task[None]] = {}
        self.connections: set[Connection] = set()

    def open(self) -> None:
        """Accept, until the door is closed."""
        if not self._accepting and not self._closed:
            self._accepting = True
            self._loop.add_reader(self._listener, self._on_caller)

    def close_door(self) -> None:
        """Accept who has come already, then nobody: who waits behind the door would be reset."""
        self._pause()
        self._closed = True
        while self._take_one():
            pass
        self._listener.close()

    def close_idle(self) -> None:
        """Let go of those from whom nothing has come for a moment, not even a greeting."""
        for connection in tuple(self.connections):
            greeting = self._greetings.get(connection)
            if greeting is None:
                connection.close_if_idle(IDLE_GRACE_S)
            elif connection.has_waited(IDLE_GRACE_S):
                greeting.cancel()

    def abort(self) -> None:
        """Drop everybody."""
        for greeting in tuple(self._greetings.values()):
            greeting.cancel()
        for connection in tuple(self.connections):
            connection.abort()

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listener)

    def _on_caller(self) -> None:
        """Accept one connection a turn, unless another worker holds fewer: it may go first."""
        if self._holds_most():
            self._pause()
            self._loop.call_later(YIELD_S, self._wait_for_others, YIELDS)
        else:
            self._take_one()

    def _holds_most(self) -> bool:
        fewest = self._siblings.fewest(self._clock.now())
        return fewest is not None and len(self.connections) > fewest

    def _wait_for_others(self, left: int) -> None:
        if self._closed:
            return
        if left > 0 and self._holds_most():
            self._loop.call_later(YIELD_S, self._wait_for_others, left - 1)
            return
        self.open()
        self._take_one()

    def _take_one(self) -> bool:
        """Accept a connection; whether there was one."""
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            log.seldom("accept_failed", f"No connection can be accepted: {error.strerror}.")
            self._pause()  # the sweep tries again in a second
            return False
        accepted.settimeout(0)
        if not self._has_room():
            self._turn_away(accepted)
            return True
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._make(self._forget)
        self.connections.add(connection)
        self._meter.connections(len(self.connections))
        greet = self._connect if self._tls is None else self._greet
        task = self._loop.create_task(greet(connection, accepted))
        self._greetings[connection] = task
        task.add_done_callback(lambda _: self._greetings.pop(connection, None))
        return True

    def _has_room(self) -> bool:
        """Whether one more may be held; who was silent longest goes for it."""
        greetings = 0 if self._tls is None else len(self._greetings)  # each has a spare descriptor
        if len(self.connections) + greetings < self._connections_max:
            return True
        longest = self._silent_longest()
        if longest is None:
            return False
        self._meter.crowded("closed")
        greeting = self._greetings.get(longest)
        if greeting is None:
            longest.abort()
        else:
            greeting.cancel()
        self._forget(longest)
        return True

    def _silent_longest(self) -> Connection | None:
        """Return who has been silent longest. A crowd is not looked through for each newcomer."""
        now = self._loop.time()
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            silent = (one for one in self.connections if one.silence_s >= SILENT_S)
            self._silent = sorted(silent, key=lambda one: one.silence_s)
        while self._silent:
            one = self._silent.pop()
            if one in self.connections and one.silence_s >= SILENT_S:
                return one
        return None

    def _turn_away(self, accepted: socket.socket) -> None:
        """Tell a newcomer that there is no room; over TLS that would take a handshake."""
        self._meter.crowded("refused")
        log.seldom("connections_full", "No room for more connections, and none of them is idle.")
        with accepted:
            if self._tls is None:
                with suppress(OSError):
                    accepted.recv(UNREAD_BYTES)  # what is not read resets the line
                _say(accepted, self._make(self._forget), NoRoomError.told())

    async def _connect(self, connection: Connection, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except (OSError, asyncio.CancelledError):
            self._forget(connection)

    async def _greet(self, connection: Connection, accepted: socket.socket) -> None:
        """Speak TLS; tell who speaks plain HTTP that it is not spoken here."""
        assert self._tls is not None  # noqa: S101  (asked before)
        try:
            with accepted.dup() as spare:  # outlives a handshake that fails
                await self._shake_hands(connection, accepted, spare, self._tls.context)
        except (OSError, asyncio.CancelledError):
            self._forget(connection)

    async def _shake_hands(
        self,
        connection: Connection,
        accepted: socket.socket,
        spare: socket.socket,
        context: ssl.SSLContext,
    ) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            )
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                _say(spare, connection, _https_only())
            raise

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._meter.connections(len(self.connections))


def room_for(wanted: int) -> int:
    """Return how many connections may be held: fewer than wanted, where few files may be open."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, files - DESCRIPTORS_KEPT))


def _https_only() -> PlainHttpError:
    return PlainHttpError(
        "This port speaks HTTPS.",
        why="the request came in plain HTTP",
        fix="put `https://` in the place of `http://`",
    )


def _say(stranger: socket.socket, caller: Connection, error: RequestError) -> None:
    """Answer in plain HTTP, where the line takes it at once."""
    request = Exchange(caller, method="", url=b"", headers={})
    status, headers, body = oip.DIALECT.refuse(request, error, STATUS[error.code])
    headers += error.headers
    with suppress(OSError):
        stranger.send(http_answer(status, headers, body, close=True, bodiless=False))
        stranger.shutdown(socket.SHUT_WR)
