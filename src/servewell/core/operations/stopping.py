"""Decide whether an emergency stop may be ordered as somebody wishes it."""

import hashlib
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.signature import Datatype, Output, Signature
from servewell.core.catalog.stop import EVERY, Constant, StopMode, StopOrder
from servewell.errors import ServewellError

LARGEST: Final = {Datatype.FP16: 65_504.0, Datatype.FP32: 3.4028234663852886e38}
BITS: Final = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}


class FallbackMissingError(ServewellError):
    """The deployment that is to answer in an emergency is not there, or not to be trusted."""

    code = "SW-226"


class StopInvalidError(ServewellError):
    """What an endpoint is to answer in an emergency does not fit its model."""

    code = "SW-155"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWish:
    """What somebody wants an endpoint to answer: nothing, but for the next two."""

    fallback: str = ""  # name of the deployment that answers
    constant: dict[str, Constant] = field(default_factory=dict)  # the outputs of each row
    because: str
    principal: str
    at: float  # seconds since the epoch, UTC


def decide_stop(endpoint: Endpoint, wish: StopWish, signature: Signature | None) -> StopOrder:
    """Return the order that a wish makes; `signature` is that of the endpoint's main deployment.

    Raises: FallbackMissingError, StopInvalidError.
    """
    if wish.fallback and wish.constant:
        raise _invalid(["one deployment answers, or the same outputs do"], "ask for one of the two")
    if not wish.because.strip():
        raise _invalid(["no reason was given"], "say why, for those who find the endpoint stopped")
    require_text(wish.because)
    order = StopOrder(
        endpoint=endpoint.name,
        mode=StopMode.REFUSE,
        because=wish.because.strip(),
        principal=wish.principal,
        at=wish.at,
    )
    if wish.fallback:
        _require_fallback(endpoint, wish.fallback)
        return replace(order, mode=StopMode.FALLBACK, deployment=wish.fallback)
    if wish.constant:
        outputs = _checked(wish.constant, signature)
        return replace(order, mode=StopMode.CONSTANT, outputs=outputs)
    return order


def main_deployment(endpoint: Endpoint) -> Deployment | None:
    """Return the deployment with most traffic: its requests are those that callers send."""
    return max(endpoint.deployments, key=lambda one: one.share_bp, default=None)


def require_text(because: str) -> None:
    """Refuse a reason that cannot be kept: a command line may hold bytes that are no text.

    Raises: StopInvalidError.
    """
    if not _is_text(because):
        raise _invalid(["the reason holds bytes that are no text"], "write it in UTF-8")


def order_for(orders: Iterable[StopOrder], endpoint: str) -> StopOrder | None:
    """Return the stop that holds for an endpoint: its own, or else that of all others."""
    known = {one.endpoint: one for one in orders}
    return known.get(endpoint) or known.get(EVERY)


def stops_digest(orders: tuple[StopOrder, ...]) -> str:
    """Return by what these orders, as a whole, are told from all others."""
    return hashlib.sha256(msgspec.json.encode(orders)).hexdigest()[:16]


def describe_stop(order: StopOrder) -> str:
    """Return what an order means, as people read it."""
    if order.mode is StopMode.FALLBACK:
        return f"stopped: `{order.deployment}` answers every request"
    if order.mode is StopMode.CONSTANT:
        told = ", ".join(f"{name} = {value}" for name, value in order.outputs.items())
        return f"stopped: every row is answered with {told}"
    return "stopped: every request is refused"


def fits(output: Output, value: Constant) -> bool:
    """Return whether a value may stand in an output."""
    if output.datatype is Datatype.BYTES:
        return isinstance(value, str) and _is_text(value)
    if output.datatype is Datatype.BOOL:
        return isinstance(value, bool)
    if isinstance(value, str | bool) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    if not output.datatype.is_integer:
        return abs(value) <= LARGEST.get(output.datatype, sys.float_info.max)
    sign, bits = BITS[output.datatype.value]
    lowest, highest = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return value == math.floor(value) and lowest <= value <= highest


def faults_of(signature: Signature, outputs: Mapping[str, Constant]) -> list[str]:
    """Return why these cannot be the outputs of a model; one sentence for each output."""
    known = {one.name: one for one in signature.outputs}
    faults = [f"the model has no output `{name}`" for name in outputs if name not in known]
    for name, one in known.items():
        if name not in outputs:
            faults.append(f"`{name}` ({one.datatype.value}) is not given")
        elif -1 in one.row_shape:
            faults.append(f"`{name}` has no fixed size")
        elif not fits(one, outputs[name]):
            faults.append(f"`{name}` is of the type {one.datatype.value}")
    return faults


def _is_text(text: str) -> bool:
    """Whether it can be written in UTF-8: a command line may hold bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(outputs: Mapping[str, Constant], signature: Signature | None) -> dict[str, Constant]:
    if signature is None:
        raise _invalid(
            ["the endpoint has no deployment that says what is asked and answered"],
            "deploy a version first, or refuse the requests",
        )
    if faults := faults_of(signature, outputs):
        raise _invalid(faults, "give each output of the model a value of its type")
    whole = {one.name for one in signature.outputs if one.datatype.is_integer}
    return {name: int(value) if name in whole else value for name, value in outputs.items()}


def _require_fallback(endpoint: Endpoint, name: str) -> None:
    found = {one.name: one for one in endpoint.deployments}.get(name)
    if found is None or found.quarantined:
        good = [f"`{one.name}`" for one in endpoint.deployments if not one.quarantined]
        why = "it is in quarantine" if found else "it was retired, or never was"
        raise FallbackMissingError(
            f"`{endpoint.name}` cannot fall back on `{name}`.",
            why=f"{why}; those that are loaded: {', '.join(good) or 'none'}",
            fix="name one of them, or stop the endpoint without one, which refuses its requests",
        )


def _invalid(faults: list[str], fix: str) -> StopInvalidError:
    return StopInvalidError(
        "The emergency stop cannot be ordered like that.", why="; ".join(faults), fix=fix
    )
