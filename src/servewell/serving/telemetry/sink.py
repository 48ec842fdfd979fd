"""A collector that takes OTLP over HTTP. Source: OTLP 1.x, "OTLP/HTTP"."""

import os
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import unquote, urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

TIMEOUT_S: Final = 5.0
REPLY_BYTES_MAX: Final = 1 << 16
PATH: Final = "/v1/traces"
OK: Final = 200
HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
CERTIFICATE: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"


class SinkError(Exception):
    """The collector did not take an export. `reason` is how its spans are counted."""

    def __init__(self, why: str, *, reason: str) -> None:
        super().__init__(why)
        self.reason = reason


class Sink:
    """One collector. Used by one thread."""

    def __init__(self, endpoint: str, path: str = PATH) -> None:
        url = urlsplit(endpoint)
        self._host = url.netloc
        self._secure = url.scheme == "https"
        self._path = url.path.rstrip("/") + path
        self._headers = {"content-type": "application/x-protobuf", **headers_of_environment()}
        self._connection: HTTPConnection | None = None

    def send(self, message: bytes) -> int:
        """Send one export; return how many of its spans, or points, the collector did not want.

        Raises: SinkError.
        """
        try:
            status, reply = self._exchange(message)
        except (OSError, HTTPException, ValueError) as error:  # a header that cannot be sent too
            self._drop()
            fault = type(error).__name__
            raise SinkError(f"it cannot be reached ({fault})", reason="sink") from None
        if status != OK:
            self._drop()
            raise SinkError(f"it answers {status}", reason="rejected")
        return _rejected(reply)

    def _exchange(self, message: bytes) -> tuple[int, bytes]:
        connection = self._connection = self._connection or self._connect()
        connection.request("POST", self._path, body=message, headers=self._headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read(REPLY_BYTES_MAX)

    def _connect(self) -> HTTPConnection:
        if not self._secure:
            return HTTPConnection(self._host, timeout=TIMEOUT_S)
        trusted = ssl.create_default_context(cafile=os.environ.get(CERTIFICATE) or None)
        return HTTPSConnection(self._host, timeout=TIMEOUT_S, context=trusted)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def headers_of_environment() -> dict[str, str]:
    """Return the headers of `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, URL-encoded."""
    pairs = [one.partition("=") for one in os.environ.get(HEADERS, "").split(",")]
    return {name.strip().lower(): unquote(value.strip()) for name, equals, value in pairs if equals}


def _rejected(reply: bytes) -> int:
    """Return how much was not wanted; the reply to metrics has the same field at the same place."""
    try:
        return ExportTraceServiceResponse.FromString(reply).partial_success.rejected_spans
    except DecodeError:  # a collector that says OK has taken them
        return 0
