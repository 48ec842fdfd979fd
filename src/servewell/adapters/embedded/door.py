"""The endpoint over HTTP: the Open Inference Protocol V2 in JSON, on one kept-alive connection."""

import http.client
import math
import re
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from servewell import __version__
from servewell.core.catalog.rows import MetadataInvalidError, RowFault, inputs_of
from servewell.core.catalog.signature import Datatype, Input
from servewell.ports.door import (
    AddressInvalidError,
    Answer,
    AnswerInvalidError,
    CertificateNotTrustedError,
    DoorClosedError,
    RequestRefusedError,
)

TIMEOUT_S: Final = 60.0
WAIT_MAX_S: Final = 30.0  # for one request, however often the endpoint asks to wait
WAIT_MIN_S: Final = 0.1
T = TypeVar("T")

UNANSWERED: Final = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
HALF_AN_ANSWER: Final = (http.client.RemoteDisconnected, http.client.IncompleteRead)
WHY_CLOSED: Final[dict[type[Exception], str]] = {
    http.client.RemoteDisconnected: "the connection was closed before an answer came",
    http.client.IncompleteRead: "the connection broke in the middle of the answer",
    ConnectionRefusedError: "nothing listens there",
    TimeoutError: f"{TIMEOUT_S:.0f} s passed without one",
}
SENTENCE: Final = re.compile(r"(?P<what>.*) Because: (?P<why>.*)\. Next: (?P<fix>.*)\.", re.DOTALL)
TEXT_SHOWN: Final = 200  # characters of an answer that is not from Servewell

FIXES: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "put a key that is good here into the environment variable "
    "SERVEWELL_KEY; `servewell keys create NAME` makes one",
    HTTPStatus.FORBIDDEN: "use a key with that right; `servewell keys create` makes one",
    HTTPStatus.NOT_FOUND: "`servewell endpoints list` shows what there is",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "send fewer rows at once: `--batch` sets how many",
}
OTHERWISE: Final = "`servewell logs` shows what the workers say of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class _Fault(msgspec.Struct):
    name: str
    found: str
    allowed: str
    row: int | None = None


class _Refusal(msgspec.Struct):
    error: str
    code: str = ""
    faults: tuple[_Fault, ...] = ()


class _Output(msgspec.Struct):
    name: str
    shape: tuple[int, ...]
    data: list[Any]


class _Outputs(msgspec.Struct):
    outputs: tuple[_Output, ...]


class HttpDoor:
    """`Door` over one connection; not for several threads at once.

    `sleep` waits when the endpoint asks to come again later.
    """

    def __init__(
        self,
        host: str,
        port: int,
        key: str,
        *,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = _connection(host, port, tls)
        self._address = f"{host}:{port}"
        self._headers = {
            **({"Authorization": f"Bearer {key}"} if key else {}),
            "Content-Type": "application/json",
            "User-Agent": f"servewell/{__version__}",
        }
        self._sleep = sleep
        self._inputs: dict[tuple[str, str | None], dict[str, Input]] = {}

    def __del__(self) -> None:
        # A door has no end that its users could announce: it closes when nobody has it any more.
        self._connection.close()

    def metadata(self, endpoint: str, *, deployment: str | None = None) -> dict[str, Any]:
        """See `Door.metadata`."""
        reply = self._patient("GET", _path(endpoint), headers=_pin(deployment))
        if reply.status != HTTPStatus.OK:
            raise self._refused(endpoint, reply)
        metadata = self._read(reply, dict[str, Any])
        try:
            inputs_of(metadata)
        except MetadataInvalidError as error:
            raise self._strange(error.why) from error
        return metadata

    def ready(self, endpoint: str) -> bool:
        """See `Door.ready`."""
        try:
            return self._once_more("GET", _path(endpoint, "ready")).status == HTTPStatus.OK
        except (DoorClosedError, AnswerInvalidError):
            return False

    def metrics(self) -> dict[str, float]:
        """See `Door.metrics`."""
        reply = self._patient("GET", "/metrics")
        if reply.status != HTTPStatus.OK:
            raise self._refused("/metrics", reply)
        lines = reply.body.decode(errors="replace").splitlines()
        series = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        try:
            return {name: float(value) for name, _, value in series}
        except ValueError as error:
            raise self._strange("its metrics are not what Prometheus writes") from error

    def predict(
        self, endpoint: str, columns: dict[str, list[Any]], *, deployment: str | None = None
    ) -> Answer:
        """See `Door.predict`."""
        tensors = self._tensors(endpoint, columns, deployment=deployment)
        body = msgspec.json.encode({"inputs": tensors})
        started = time.perf_counter()
        reply = self._patient("POST", _path(endpoint, "infer"), body, _pin(deployment))
        elapsed_ms = (time.perf_counter() - started) * 1_000
        if reply.status != HTTPStatus.OK:
            self._inputs.pop((endpoint, deployment), None)  # it may have another model by now
            raise self._refused(endpoint, reply)
        rows = len(next(iter(columns.values()), []))
        outputs = self._read(reply, _Outputs).outputs
        return Answer(
            prediction_id=reply.headers.get("servewell-prediction-id", ""),
            deployment=reply.headers.get("servewell-deployment", ""),
            model_version=reply.headers.get("servewell-model-version", ""),
            outputs={one.name: self._per_row(one, rows) for one in outputs},
            elapsed_ms=elapsed_ms,
        )

    def _tensors(
        self, endpoint: str, columns: dict[str, list[Any]], *, deployment: str | None
    ) -> list[dict[str, object]]:
        asked = (endpoint, deployment)
        if asked not in self._inputs:
            known = inputs_of(self.metadata(endpoint, deployment=deployment))
            self._inputs[asked] = {one.name: one for one in known}
        inputs = self._inputs[asked]
        return [_tensor(inputs.get(name), name, values) for name, values in columns.items()]

    def _patient(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> _Reply:
        """Send a request, and again for as long as the endpoint asks to come later."""
        waited_s = 0.0
        while True:
            reply = self._once_more(method, path, body, headers)
            pause_s = _retry_after(reply)
            if pause_s is None or waited_s + pause_s > WAIT_MAX_S:
                return reply
            self._sleep(pause_s)
            waited_s += pause_s

    def _once_more(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> _Reply:
        """Send a request; on a connection that was kept alive too long, once more on a new one.

        A prediction changes nothing, so that sending it twice does no harm.
        """
        kept_alive = self._connection.sock is not None
        everything = {**self._headers, **(headers or {})}
        try:
            try:
                return self._sent(method, path, body, everything)
            except UNANSWERED:
                self._connection.close()
                if not kept_alive:
                    raise
                return self._sent(method, path, body, everything)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._closed(error) from error

    def _sent(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> _Reply:
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered already
            self._connection.request(method, path, body or None, headers)
        response = self._connection.getresponse()
        try:
            data = response.read()
        except ConnectionResetError as error:
            raise http.client.IncompleteRead(b"") from error
        return _Reply(status=response.status, headers=response.headers, body=data)

    def _read(self, reply: _Reply, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._strange(f"its answer is not what the protocol says: {error}") from error

    def _per_row(self, output: _Output, rows: int) -> list[Any]:
        """Return one value per row, or one flat list where a row has several."""
        width = math.prod(output.shape[1:])
        if output.shape[:1] != (rows,) or len(output.data) != rows * width:
            raise self._strange(
                f"output `{output.name}` has the shape {list(output.shape)} and "
                f"{len(output.data)} values for {rows} rows"
            )
        if width == 1:
            return output.data
        return [output.data[row * width : (row + 1) * width] for row in range(rows)]

    def _refused(self, endpoint: str, reply: _Reply) -> RequestRefusedError:
        try:
            refusal = msgspec.json.decode(reply.body, type=_Refusal)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            text = reply.body[:TEXT_SHOWN].decode(errors="replace").strip()
            refusal = _Refusal(error=f"it says only: {text}" if text else "it says no more")
        what, why, fix = _words(refusal.error)
        return RequestRefusedError(
            f"`{endpoint}` at {self._address} refused the request with {reply.status}.",
            why=" ".join(part for part in (what, why) if part),
            fix=FIXES.get(reply.status, fix or OTHERWISE),
            status=reply.status,
            server_code=refusal.code,
            faults=tuple(_row_fault(one) for one in refusal.faults),
        )

    def _closed(
        self, error: Exception
    ) -> DoorClosedError | AnswerInvalidError | CertificateNotTrustedError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._not_trusted(error)
        if isinstance(error, http.client.HTTPException) and not isinstance(error, HALF_AN_ANSWER):
            return self._strange("it does not speak HTTP")
        why = next((words for kind, words in WHY_CLOSED.items() if isinstance(error, kind)), "")
        return DoorClosedError(
            f"No answer comes from {self._address}.",
            why=why or f"the operating system says: {error}",
            fix="`servewell status` shows what serves; `servewell up FOLDER` starts it",
        )

    def _not_trusted(self, error: ssl.SSLCertVerificationError) -> CertificateNotTrustedError:
        return CertificateNotTrustedError(
            f"The certificate of {self._address} is not to be trusted.",
            why=error.verify_message,
            fix="bring `ca.pem` from the folder `tls` of the home that serves there, and name it "
            "in the environment variable SSL_CERT_FILE; check the address",
        )

    def _strange(self, why: str) -> AnswerInvalidError:
        return AnswerInvalidError(
            f"What answers at {self._address} is not an endpoint.",
            why=why,
            fix="check host and port; `servewell status` shows where this home serves",
        )


def door_at(url: str, key: str, *, trust: ssl.SSLContext | None = None) -> HttpDoor:
    """Return the door at a URL like `https://HOST:PORT`; a path of the protocol may follow.

    `trust` says which certificates are believed; None stands for those that this machine believes.

    Raises: AddressInvalidError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _unusable(url, str(error)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise _unusable(url, "it is not `http://` or `https://` with a host, and a port if need be")
    if parts.path not in ("", "/") and not parts.path.startswith("/v2"):
        raise _unusable(url, f"endpoints stand under `/v2`, not under `{parts.path}`")
    if parts.scheme == "http":
        return HttpDoor(parts.hostname, port or 80, key)
    return HttpDoor(parts.hostname, port or 443, key, tls=trust or ssl.create_default_context())


def _connection(host: str, port: int, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=tls)


def _unusable(url: str, why: str) -> AddressInvalidError:
    return AddressInvalidError(
        f"`{url}` is not the address of an endpoint.",
        why=why,
        fix="write it like `https://127.0.0.1:8080`",
    )


def _path(endpoint: str, *rest: str) -> str:
    return "/".join(("/v2/models", quote(endpoint, safe=""), *rest))


def _tensor(declared: Input | None, name: str, values: list[Any]) -> dict[str, object]:
    """Return one input; of a name that the model does not have too, so that it can say so."""
    lists = bool(values) and isinstance(values[0], list)
    width = len(values[0]) if lists else 1
    return {
        "name": name,
        "datatype": declared.datatype if declared else Datatype.BYTES,
        "shape": [len(values), *_row_shape(declared.row_shape if declared else (-1,), width)],
        "data": [value for row in values for value in row] if lists else values,
    }


def _row_shape(declared: tuple[int, ...], width: int) -> tuple[int, ...]:
    """Return the shape of a row of `width` values; the first open dimension takes what is left."""
    known = math.prod(size for size in declared if size != -1)
    shape = list(declared)
    if -1 in shape and known:
        shape[shape.index(-1)] = width // known
    return tuple(1 if size == -1 else size for size in shape)


def _pin(deployment: str | None) -> dict[str, str]:
    return {} if deployment is None else {"servewell-deployment": deployment}


def _retry_after(reply: _Reply) -> float | None:
    """Return the seconds to wait, where the endpoint is busy and says how long."""
    seconds = reply.headers.get("retry-after", "")
    if reply.status != HTTPStatus.SERVICE_UNAVAILABLE or not seconds.isdecimal():
        return None
    return max(float(seconds), WAIT_MIN_S)


def _words(sentence: str) -> tuple[str, str, str]:
    """Return what, why and what to do from the one sentence of a worker's refusal."""
    found = SENTENCE.fullmatch(sentence)
    return (found["what"], found["why"], found["fix"]) if found else (sentence, "", "")


def _row_fault(fault: _Fault) -> RowFault:
    row = None if fault.row is None else fault.row + 1
    return RowFault(row=row, column=fault.name, found=fault.found, allowed=fault.allowed)
