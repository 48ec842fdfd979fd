"""The process that sends: a load on standard input, a window a line on standard output.

It is a process of its own so that nothing else delays what it sends, and it reads its load from a
pipe because a load holds a key. It stops when its standard input ends.
"""

import asyncio
import gc
import os
import sys

import msgspec
import uvloop

from servewell.adapters.embedded.load.traffic import Traffic
from servewell.core.performance.load_result import Window
from servewell.ports.load_generator import Load


def main() -> int:
    """Carry out one load; return the exit code."""
    load = msgspec.json.decode(sys.stdin.buffer.readline(), type=Load)
    stop: list[bytes] = []
    # A long pause would be taken for the server's. Connections that ended are rubbish in circles,
    # so collecting has to go on; it takes a fraction of a millisecond once it looks only at those.
    gc.collect()
    gc.freeze()

    def observe(window: Window) -> bool:
        sys.stdout.buffer.write(msgspec.json.encode(window) + b"\n")
        sys.stdout.buffer.flush()
        return not stop

    async def carry_out() -> None:
        asyncio.get_running_loop().add_reader(0, lambda: stop.append(os.read(0, 1)))
        await Traffic(load, observe).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(carry_out())
    return 0
