"""The limit: the same loop and the same parser as a worker's, answering a constant.

No Python server on this stack can be faster, and no generator measure more than it does here.
Run by `python constant.py PORT`.
"""

import asyncio
import sys

import httptools
import uvloop

BODY = b'{"outputs":[{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[0.9,0.1]}]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class Constant(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to parse."""
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Let the parser collect the body, as every server must."""

    def on_message_complete(self) -> None:
        """Answer."""
        self.transport.write(ANSWER)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
