"""A worker of Servewell without some of its protections, to see what each costs.

Servewell has no switches for these, on purpose. Here a piece is replaced by one that does nothing
before the worker starts; all the rest is the worker as it is. Run by
`python stripped.py HOME PORT tls|plain PIECE…`.
"""

import socket
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from servewell import wiring
from servewell.ports.fleet import FleetPlan
from servewell.serving.exchange import Exchange
from servewell.serving.limits import Moment
from servewell.serving.protocols.columns import Decoded
from servewell.serving.protocols.dialect import Kind
from servewell.serving.request_path import RequestPath

HOST: Final = "127.0.0.1"
NEVER_NS: Final = 1 << 62
NANOSECONDS: Final = 1_000_000_000


def nothing(*_: object, **__: object) -> None:
    """Do nothing, whatever is asked."""


class NoRecorder:
    """Says that it has written what it never writes."""

    fault = ""
    close = tick = nothing

    def __init__(self, *_: object, **__: object) -> None:
        """Take what a recorder takes."""

    def commit(self, _: object) -> bool:
        """Take records."""
        return True


def no_header(*_: object) -> bytes:
    """Return no header line."""
    return b""


def no_deadline(exchange: Exchange, _: int) -> None:
    """Let a request take as long as it likes."""
    exchange.deadline_ns = NEVER_NS


def unnoted(session: object, *_: object) -> object:
    """Return a session whose calls are not noted."""
    return session


def anybody(real: Callable[[Any, Exchange], None]) -> Callable[[Any, Exchange], None]:
    """Return an `open` that judges the first request to each path, and lets others be like it."""
    first: dict[bytes, Exchange] = {}

    def open_(path: Any, exchange: Exchange) -> None:  # noqa: ANN401 - reads what is its own
        known = first.get(exchange.url)
        if known is None:
            real(path, exchange)
            if exchange.error is None and exchange.known_endpoint:
                first[exchange.url] = exchange
            return
        now = path._clock.now()  # noqa: SLF001
        exchange.time_ns = int(now * NANOSECONDS)
        exchange.snapshot = path.table.version
        exchange.route, exchange.grant = known.route, known.grant
        exchange.dialect, exchange.known_endpoint = known.dialect, known.known_endpoint
        exchange.prediction_id = path._new_id(exchange.time_ns)  # noqa: SLF001
        exchange.redaction_key = known.redaction_key
        limits = path._limits  # noqa: SLF001
        if limits.active and known.grant is not None and known.route.kind is Kind.INFER:
            moment = Moment(exchange.opened_at / NANOSECONDS, now)
            limits.take_request(known.grant.id, known.known_endpoint, moment)

    return open_


class _Tensor(msgspec.Struct, gc=False):
    shape: list[int]
    data: list[float]


class _Request(msgspec.Struct, gc=False):
    inputs: list[_Tensor]


_read: Final = msgspec.json.Decoder(_Request).decode


def believed(_: object, body: bytes, **__: object) -> Decoded:
    """Return the columns of a request as they stand there, unexamined."""
    tensors = _read(body).inputs
    return Decoded("", tensors[0].shape[0], [one.data for one in tensors], ())


SERVING: Final = "servewell.serving."
PIECES: Final[dict[str, tuple[tuple[str, str, Any], ...]]] = {
    "key": (("request_path", "RequestPath.open", anybody(RequestPath.open)),),
    "limits": (("limits", "Limiter.serve", nothing),),
    "deadline": (
        ("request_path", "take_header_wishes", no_deadline),
        ("loop_guard", "LoopGuard.begin", nothing),
        ("loop_guard", "LoopGuard.end", nothing),
    ),
    "admission": (("turns", "Turns.check", nothing),),
    "validation": (("protocols.oip_request", "RequestDecoder.decode", believed),),
    "quarantine": (("package", "NotedSession", unnoted),),
    "records": (("worker", "Recorder", NoRecorder),),
    "metrics": (
        ("metrics", "DeploymentMeter.answered", nothing),
        ("metrics", "DeploymentMeter.batch", nothing),
        ("metrics", "DeploymentMeter.exemplify", nothing),
        ("metrics", "WorkerMeter.recorded", nothing),
    ),
    "tracing": (
        ("telemetry.watch", "Watch.head", no_header),
        ("telemetry.watch", "Watch.saw", nothing),
    ),
}


def strip(piece: str) -> None:
    """Replace a piece. Raises: AttributeError, where there is no such thing any more."""
    for module, path, instead in PIECES[piece]:
        *within, name = path.split(".")
        owner: Any = import_module(SERVING + module)
        for one in within:
            owner = getattr(owner, one)
        getattr(owner, name)
        setattr(owner, name, instead)


def main() -> int:
    """Serve a home until told to stop."""
    home, port, mode, *pieces = sys.argv[1:]
    for piece in pieces:
        strip(piece)
    tls = None
    if mode == "tls":
        certificates = wiring.open_platform(Path(home)).certificates
        tls = certificates.own((HOST,))
        certificates.ensure(tls)
    plan = FleetPlan(
        host=HOST,
        port=int(port),
        workers=1,
        drain_s=0.0,
        tls=tls,
        retention_days=1,
        record_bytes_max=1 << 40,
    )
    listener = socket.create_server((HOST, int(port)), backlog=1_024)
    written = msgspec.json.encode(plan).decode()
    return wiring.worker([home, "0", str(listener.detach()), written])


if __name__ == "__main__":
    sys.exit(main())
