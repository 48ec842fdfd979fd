"""Many callers at once, each with connections of its own."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from serving.home import Home

INFER = "/v2/models/flights/infer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, and when."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    took_s: float
    ended: float  # by `perf_counter`

    def output(self, name: str) -> list[Any]:
        """Return the values of an output."""
        found: list[Any] = next(one["data"] for one in self.body["outputs"] if one["name"] == name)
        return found


class Crowd:
    """Keeps connections to a home, and takes a free one for each request."""

    def __init__(self, home: Home, key: str) -> None:
        self._port = home.port
        self._key = key
        self._free: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def send(self, body: dict[str, Any] | bytes, **headers: str) -> Answer:
        """Send one request."""
        began = perf_counter()
        if not self._free:
            self._free.append(await asyncio.open_connection("127.0.0.1", self._port))
        reader, writer = self._free.pop()
        writer.write(self.message(body, **headers))
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        found = dict(line.lower().split(": ", 1) for line in lines if line)
        content = await reader.readexactly(int(found["content-length"]))
        self._free.append((reader, writer))
        ended = perf_counter()
        return Answer(
            status=int(status.split()[1]),
            headers=found,
            body=json.loads(content),
            took_s=ended - began,
            ended=ended,
        )

    def message(self, body: dict[str, Any] | bytes, **headers: str) -> bytes:
        """Return a request as it is sent."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [
            f"POST {INFER} HTTP/1.1",
            "host: x",
            f"authorization: Bearer {self._key}",
            f"content-length: {len(content)}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + content

    def close(self) -> None:
        """Close what is open."""
        for _, writer in self._free:
            writer.close()
