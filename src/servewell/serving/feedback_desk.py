"""Feedback that callers give of answers: taken in once it is on the disk.

A worker needs neither the control process nor the database for it. What came while something is
being written is written together, by one file.
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from servewell.core.catalog.feedback import FeedbackPolicy, Said
from servewell.core.catalog.key import Grant
from servewell.core.operations.monitoring.feedback import (
    author_before,
    author_of,
    feedback_id,
)
from servewell.core.operations.monitoring.feedback_reading import (
    faults_in,
    read,
    withdrawal_faults,
)
from servewell.core.security.access import allows
from servewell.core.security.feedback_token import PREFIX, subject_token, token_prediction
from servewell.errors import ServewellError
from servewell.ports.clock import Clock
from servewell.ports.feedback import FeedbackInbox
from servewell.serving.access import SCHEME
from servewell.serving.exchange import Exchange
from servewell.serving.feedback_limits import (
    KEY_S,
    PER_SUBJECT,
    PER_TOKEN,
    SUBJECT_S,
    FeedbackLimits,
)
from servewell.serving.feedback_refusals import (
    FeedbackElsewhereError,
    FeedbackFieldsError,
    FeedbackOffError,
    FeedbackTokenError,
    FeedbackUnkeptError,
    OriginRefusedError,
)
from servewell.serving.metrics import WorkerMeter
from servewell.serving.protocols.dialect import Route
from servewell.serving.protocols.feedback import (
    BODY_BYTES_MAX,
    PREFLIGHT,
    FeedbackDialect,
    asked_page,
    dialect_for,
    is_welcome,
    told_in,
)
from servewell.serving.protocols.oip_pages import JSON
from servewell.serving.refusals import (
    EndpointUnnamedError,
    MethodRefusedError,
    NotPermittedError,
    RequestError,
)
from servewell.serving.requests import body_too_large
from servewell.serving.served import ServedEndpoint
from servewell.serving.telemetry.logs import log
from servewell.serving.turns import Turns

WAITING_MAX: Final = 1_000  # requests whose feedback is being written
MASK: Final = 0xFFFFFFFF
NO_STORE: Final = b"cache-control: no-store\r\n"
IN_TOKEN: Final = SCHEME + PREFIX.encode()

Identify = Callable[[], Grant]  # raises RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sender:
    """Who sends feedback: a key, or whoever has the token of one prediction."""

    policy: FeedbackPolicy
    key_id: str = ""
    principal: str = ""
    prediction_id: str = ""  # of the token
    token: str = ""


class FeedbackDesk:
    """Takes feedback, and has it written."""

    def __init__(  # noqa: PLR0913  (the parts of the worker that it needs)
        self,
        loop: asyncio.AbstractEventLoop,
        turns: Turns,
        *,
        inbox: FeedbackInbox,
        meter: WorkerMeter,
        clock: Clock,
        key: bytes,
    ) -> None:
        self._loop = loop
        self._turns = turns
        self._inbox = inbox
        self._meter = meter
        self._clock = clock
        self._key = key
        self._limits = FeedbackLimits()
        self._process = os.urandom(4).hex()
        self._numbers = itertools.count()
        self._waiting: list[tuple[Exchange, Said]] = []
        self._writing: asyncio.Task[None] | None = None

    def admit(
        self,
        exchange: Exchange,
        route: Route,
        endpoint: ServedEndpoint | None,
        identify: Identify,
    ) -> None:
        """Decide by the head of a request whether its body is read. Raises: RequestError."""
        with self._counted(endpoint):
            policy = endpoint.policy.feedback if endpoint else None
            exchange.route = route
            exchange.dialect = dialect_for(policy, exchange.headers)
            if exchange.method not in route.methods:
                raise MethodRefusedError(", ".join(route.methods))
            if exchange.method == "OPTIONS":
                return
            if not is_welcome(policy, exchange.headers):
                raise OriginRefusedError(
                    "Feedback is not taken from this page.",
                    why="the endpoint does not name its origin, and browsers send it from those "
                    "alone",
                    fix="add the origin to `feedback.origins` of the workload",
                )
            self._sender(exchange, route, policy, identify)
            exchange.known_endpoint = route.endpoint

    def take(
        self,
        exchange: Exchange,
        body: bytes,
        endpoint: ServedEndpoint | None,
        identify: Identify,
    ) -> None:
        """Answer a request that was admitted, once what it says is kept. Raises: RequestError."""
        with self._counted(endpoint):
            route = exchange.route
            policy = endpoint.policy.feedback if endpoint else None
            if exchange.method == "OPTIONS" or route is None:
                exchange.head = _cors(exchange) + PREFLIGHT
                self._turns.finish(exchange)
                return
            sender = self._sender(exchange, route, policy, identify)
            if exchange.method == "GET":
                page = asked_page(route.endpoint, sender.policy, sender.prediction_id)
                exchange.head, exchange.body = JSON + NO_STORE + _cors(exchange), page
                self._turns.finish(exchange)
                return
            if len(body) > BODY_BYTES_MAX:
                raise body_too_large(BODY_BYTES_MAX)
            told = told_in(body)
            if sender.prediction_id:
                _check_prediction(told.setdefault("prediction_id", sender.prediction_id), sender)
            withdrawn = exchange.method == "DELETE"
            make = self._withdrawal if withdrawn else self._said
            said, dropped = make(route.endpoint, told, sender)
            exchange.head, exchange.body = JSON + _cors(exchange), _answer(said, dropped)
            exchange.status = 202
            self._write(exchange, said)

    @contextmanager
    def _counted(self, endpoint: ServedEndpoint | None) -> Iterator[None]:
        """Count what is refused of an endpoint that takes feedback."""
        try:
            yield
        except RequestError as error:
            if endpoint is not None and endpoint.policy.feedback is not None:
                unkept = isinstance(error, FeedbackUnkeptError)
                self._meter.feedback(endpoint.name, "unkept" if unkept else "refused")
            raise

    def _sender(
        self,
        exchange: Exchange,
        route: Route,
        policy: FeedbackPolicy | None,
        identify: Identify,
    ) -> _Sender:
        if not route.endpoint:
            raise EndpointUnnamedError(
                "The path names no endpoint.",
                why="feedback is of one endpoint",
                fix="send it to `/endpoints/NAME/feedback`",
            )
        given = exchange.headers.get(b"authorization", b"")
        if given[: len(IN_TOKEN)].lower() == IN_TOKEN:
            return self._by_token(given[len(SCHEME) :].decode("latin-1"), route.endpoint, policy)
        grant = identify()
        if not allows(grant, route.right, route.endpoint):
            raise NotPermittedError(
                "The key does not permit this.",
                why=f"it does not carry the right to {route.right.value} here",
                fix="`servewell keys create NAME --role feedback` makes one that does, and nothing "
                "else",
            )
        if policy is None:
            raise FeedbackOffError(
                "The endpoint takes no feedback.",
                why="there is none of that name, or `feedback.enabled` of its workload is not set",
                fix="set `feedback.enabled: true`, then run `servewell up`",
            )
        return _Sender(policy=policy, key_id=grant.id, principal=grant.principal)

    def _by_token(self, token: str, endpoint: str, policy: FeedbackPolicy | None) -> _Sender:
        now = self._clock.now()
        prediction_id = token_prediction(token, endpoint=endpoint, now=now, key=self._key)
        if prediction_id is None or policy is None:
            raise FeedbackTokenError(
                "The feedback token is not good.",
                why="it is of another endpoint, its time has passed, or it was changed",
                fix="ask for feedback while the answer is new; each answer has a token of its own "
                "in the header `servewell-feedback-token`",
            )
        return _Sender(policy=policy, prediction_id=prediction_id, token=token)

    def _said(
        self, endpoint: str, told: dict[str, object], sender: _Sender
    ) -> tuple[Said, tuple[str, ...]]:
        faults = faults_in(told, sender.policy)
        if faults:
            raise FeedbackFieldsError(faults)
        self._limit(told, sender)
        found = read(told, sender.policy)
        subject = subject_token(found.subject, self._key)
        now = self._clock.now()
        said = Said(
            entry=self._new_entry(now),
            at=now,
            endpoint=endpoint,
            prediction_id=found.prediction_id,
            row=found.row,
            author=author_of(key_id=sender.key_id, subject=subject),
            replaces=author_before(key_id=sender.key_id, subject=subject),
            principal=sender.principal,
            rating=found.rating,
            correction=found.correction,
            comment=found.comment,
            subject=subject,
            consent=found.consent,
        )
        return said, found.dropped

    def _withdrawal(
        self, endpoint: str, told: dict[str, object], sender: _Sender
    ) -> tuple[Said, tuple[str, ...]]:
        faults = withdrawal_faults(told)
        if faults:
            raise FeedbackFieldsError(faults)
        self._limit(told, sender)
        row, now = told.get("row"), self._clock.now()
        subject = subject_token(str(told.get("subject") or ""), self._key)
        said = Said(
            entry=self._new_entry(now),
            at=now,
            endpoint=endpoint,
            prediction_id=str(told["prediction_id"]),
            row=row if isinstance(row, int) else 0,
            author=author_of(key_id=sender.key_id, subject=subject),
            replaces=author_before(key_id=sender.key_id, subject=subject),
            principal=sender.principal,
            withdrawn=True,
        )
        return said, ()

    def _limit(self, told: dict[str, object], sender: _Sender) -> None:
        take, now = self._limits.take, self._clock.now()
        subject = subject_token(str(told.get("subject") or ""), self._key)
        if sender.token:
            most, window_s = PER_TOKEN, float(sender.policy.token_s)
            take(sender.token, "one token", most=most, window_s=window_s, now=now)
        else:
            most = sender.policy.per_minute
            take(f"key:{sender.key_id}", "one key", most=most, window_s=KEY_S, now=now)
        if subject:
            most, window_s = PER_SUBJECT, SUBJECT_S
            take(f"subject:{subject}", "one person", most=most, window_s=window_s, now=now)

    def _new_entry(self, now: float) -> str:
        return f"{int(now * 1e9):016x}{self._process}{next(self._numbers) & MASK:08x}"

    def _write(self, exchange: Exchange, said: Said) -> None:
        if len(self._waiting) >= WAITING_MAX:
            raise _unkept("the disk does not keep up with what is sent")
        self._waiting.append((exchange, said))
        if self._writing is None:
            self._writing = self._loop.create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                await self._write_together(together)
        finally:
            self._writing = None

    async def _write_together(self, together: list[tuple[Exchange, Said]]) -> None:
        fault: RequestError | None = None
        try:
            await asyncio.to_thread(self._inbox.put, [said for _, said in together])
        except ServewellError as error:
            log.error("feedback_unwritable", f"{error.what} {error.why}.")
            fault = _unkept(error.why)
        except Exception as error:  # noqa: BLE001  (a fault of ours is told as one, and no feedback is lost in silence)
            log.fault("feedback_failed", "Feedback could not be written.", error)
            fault = _unkept("a fault of the worker, which its log tells of")
        for exchange, said in together:
            kept = "withdrawn" if said.withdrawn else "taken"
            self._meter.feedback(said.endpoint, "unkept" if fault else kept)
            exchange.error = fault
            self._turns.finish(exchange)


def _check_prediction(named: object, sender: _Sender) -> None:
    if named != sender.prediction_id:
        raise FeedbackElsewhereError(
            "The feedback token is that of another prediction.",
            why="a token is good for the prediction in whose answer it came",
            fix="send the token of that answer, or leave `prediction_id` out",
        )


def _cors(exchange: Exchange) -> bytes:
    dialect = exchange.dialect
    return dialect.cors if isinstance(dialect, FeedbackDialect) else b""


def _answer(said: Said, dropped: tuple[str, ...]) -> bytes:
    told: dict[str, object] = {
        "feedback": feedback_id(said),
        "prediction_id": said.prediction_id,
        "row": said.row,
    }
    if said.withdrawn:
        return msgspec.json.encode(told | {"withdrawn": True})
    return msgspec.json.encode(told | {"consent": said.consent is not None, "dropped": dropped})


def _unkept(why: str) -> FeedbackUnkeptError:
    return FeedbackUnkeptError(
        "The feedback cannot be kept.",
        why=why,
        fix="send it again in a moment; `servewell doctor` says what is wrong on the machine",
        retry_after_s=5,
    )
