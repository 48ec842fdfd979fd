"""API keys, and what their roles may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from servewell.core.catalog.limits import NO_LIMITS, Limits, Priority


class Right(StrEnum):
    """What a request asks for."""

    INVOKE = "invoke"  # send rows, receive predictions
    READ = "read"  # metadata and readiness
    OBSERVE = "observe"  # metrics
    FEEDBACK = "give feedback"  # rate an answer, correct it, comment on it
    ADMINISTER = "administer"  # load and unload models, stop an endpoint and resume it


class Role(StrEnum):
    """A named set of rights on the data plane."""

    INVOKER = "invoker"
    FEEDBACK = "feedback"  # gives feedback, and nothing else
    READER = "reader"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    Role.INVOKER: frozenset({Right.INVOKE, Right.READ, Right.FEEDBACK}),
    Role.FEEDBACK: frozenset({Right.FEEDBACK}),
    Role.READER: frozenset({Right.READ}),
    Role.OPERATOR: frozenset({Right.INVOKE, Right.READ, Right.FEEDBACK, Right.OBSERVE}),
    Role.ADMINISTRATOR: frozenset(Right),
}

EVERY_ENDPOINT: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: its digest, never the key."""

    id: str  # 11 base-62 characters, the public part of the key
    digest: str  # HMAC-SHA-256 of the whole key under the pepper, hex
    principal: str
    role: Role
    endpoints: tuple[str, ...]  # names, or `*`
    created_at: float  # seconds since the epoch, UTC
    expires_at: float | None = None
    revoked_at: float | None = None
    replaced_by: str | None = None  # id of the key that rotation made
    certificate: str = ""  # identity of a client certificate that stands for the key; or empty
    priority: Priority = Priority.NORMAL  # the highest that its requests may have
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a worker needs to know of a key: the part of `ApiKey` that travels in a snapshot."""

    id: str
    digest: str
    principal: str
    role: Role
    endpoints: tuple[str, ...]
    expires_at: float | None = None
    certificate: str = ""
    priority: Priority = Priority.NORMAL
    limits: Limits = NO_LIMITS
