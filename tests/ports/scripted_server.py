"""An HTTP server that answers as a test says, or does not."""

import json
import socket
import ssl
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

DROP = b""  # close the connection without an answer


def reply(status: int, body: object, *headers: str) -> bytes:
    """Return the bytes of an answer; a body of bytes is sent as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


class ScriptedServer:
    """Answers one request after the other with what was scripted, over kept-alive connections.

    After an answer that says `connection: close`, is cut short, or is `DROP`, the connection ends.
    """

    def __init__(self, script: Iterable[bytes], *, tls: ssl.SSLContext | None = None) -> None:
        self._script = list(script)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[tuple[str, dict[str, str], Any]] = []  # first line, headers, JSON
        self.connections = 0
        self._connection = self._listener  # replaced by each that is accepted

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):  # it may have ended by itself
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._tls is not None:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except OSError:  # the caller did not believe us
                    connection.close()
                    continue
            self._connection = connection
            with connection, connection.makefile("rb") as stream:
                while self._script and self._one(connection, stream):
                    pass

    def _one(self, connection: socket.socket, stream: Any) -> bool:  # noqa: ANN401 - a socket's file
        first = stream.readline().decode().strip()
        if not first:
            return False
        headers = {}
        while line := stream.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = stream.read(int(headers.get("content-length", 0)))
        self.requests.append((first, headers, json.loads(body) if body else None))
        answer = self._script.pop(0)
        connection.sendall(answer)
        return b"\r\n\r\n" in answer and b"connection: close" not in answer
