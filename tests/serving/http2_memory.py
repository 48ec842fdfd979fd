"""A connection of HTTP/2 without a network, for time that passes and for bytes at random."""

import asyncio
from typing import Final

from servewell.serving.connection import Connection
from servewell.serving.exchange import Exchange
from servewell.serving.heads import Heads
from servewell.serving.refusals import STATUS
from serving.http2_wire import Wire
from serving.test_framing import Line

BODY_MAX: Final = 100_000
ANSWER: Final = b"a" * 70_000


class Answers:
    """`Requests` that let everybody in, and answer with `ANSWER` in the next turn."""

    def __init__(self) -> None:
        self.submitted = 0

    def open(self, exchange: Exchange) -> None:
        """Let everything in."""

    def know(self, exchange: Exchange) -> None:
        """Let everybody in."""

    def body_bytes_max(self, exchange: Exchange) -> int:
        """Return the same for all."""
        del exchange
        return BODY_MAX

    more_headers = frozenset[bytes]()

    def body_bytes_most(self) -> int:
        """Return the same for all."""
        return BODY_MAX

    def submit(self, exchange: Exchange, body: bytes) -> None:
        """Answer in the next turn."""
        del body
        self.submitted += 1
        asyncio.get_running_loop().call_soon(self._answer, exchange)

    def _answer(self, exchange: Exchange) -> None:
        reply = (200, b"content-type: text/plain\r\n", ANSWER)
        if (error := exchange.error) is not None:
            reply = exchange.dialect.refuse(exchange, error, STATUS[error.code])
        exchange.answer = exchange.caller.frame(exchange, reply)
        exchange.caller.flush()


class Dropped(Line):
    """A line that says whether it was dropped, and not closed, and who listens."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = False
        self.listener: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another listen."""
        self.listener = protocol

    def abort(self) -> None:
        """Drop it."""
        self.dropped = self.closed = True


class Memory:
    """A caller and a connection, joined."""

    def __init__(self) -> None:
        self.line = Dropped()
        self.answers = Answers()
        self.connection = Connection(self.answers, Heads(), ended=lambda _: None)
        self.connection.connection_made(self.line)
        self.line.set_protocol(self.connection)
        self.wire = Wire(self.hear, lambda: b"")
        self._read = 0

    def hear(self, data: bytes) -> None:
        """Hand bytes to the connection, or to whatever took its place."""
        if not self.line.closed:
            assert isinstance(self.line.listener, asyncio.Protocol)
            self.line.listener.data_received(data)

    async def turn(self, turns: int = 12) -> None:
        """Let what is due be done, and hear what is said."""
        for _ in range(turns):
            await asyncio.sleep(0)
            said = self.line.written[self._read :]
            self._read += len(said)
            self.wire.take(said)

    async def seconds(self, count: int) -> None:
        """Let time pass."""
        for _ in range(count):
            self.connection.sweep()
        await self.turn()

    def leave(self) -> None:
        """End the connection as a network does."""
        assert isinstance(self.line.listener, asyncio.Protocol)
        self.line.listener.connection_lost(None)
