"""What a request asks for beside its rows: the `parameters` of the protocol and its extensions.

Source: open-inference-protocol, inference_rest.md; Triton's extension_binary_data.md,
extension_classification.md, extension_schedule_policy.md. Parameters that mean nothing here are
read past, as the protocol wants it; those that do have to hold what they may.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from servewell.core.catalog.limits import Priority
from servewell.core.catalog.signature import Datatype, Signature
from servewell.serving.protocols.columns import Decoded
from servewell.serving.refusals import ParameterRefusedError

Parameter = str | int | float | bool
Parameters = Mapping[str, Parameter]
Wanted = tuple[str, Parameters | None]  # an output by its name, and its parameters

TIMEOUT_US_MAX: Final = 2**63 - 1
PRIORITIES: Final = {0: None, 1: Priority.HIGH, 2: Priority.NORMAL}  # 1 goes first; beyond: low


class Form(msgspec.Struct, frozen=True, gc=False):
    """How the outputs of an answer are to be written."""

    binary: frozenset[str]  # outputs that follow the JSON as bytes
    classes: Mapping[str, int]  # outputs to be answered as their so many largest values


def take_wishes(
    decoded: Decoded,
    parameters: Parameters | None,
    outputs: Iterable[Wanted],
    *,
    signature: Signature,
) -> None:
    """Note in `decoded` what a request asks for.

    Raises: ParameterRefusedError.
    """
    all_binary = False
    if parameters:
        all_binary = _flag(parameters, "binary_data_output")
        decoded.timeout_us = min(_number(parameters, "timeout"), TIMEOUT_US_MAX)
        decoded.priority = PRIORITIES.get(_number(parameters, "priority"), Priority.LOW)
    binary = {one.name: all_binary for one in signature.outputs}
    classes: dict[str, int] = {}
    for name, own in outputs:
        if own:
            binary[name] = _flag(own, "binary_data", otherwise=all_binary)
            _take_classes(classes, name, own, signature)
    if classes or any(binary.values()):
        decoded.form = Form(frozenset(name for name, one in binary.items() if one), classes)
        decoded.as_arrays = True


def _take_classes(
    classes: dict[str, int], name: str, own: Parameters, signature: Signature
) -> None:
    count = _number(own, "classification")
    if not count:
        return
    if any(one.name == name and one.datatype is Datatype.BYTES for one in signature.outputs):
        raise _refused("classification", f"the output `{name}` holds texts, which have no order")
    classes[name] = count


def _flag(parameters: Parameters, name: str, *, otherwise: bool = False) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise _refused(name, "it is true or false")
    return value


def _number(parameters: Parameters, name: str) -> int:
    value = parameters.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _refused(name, "it is a whole number from 0")
    return value


def _refused(name: str, why: str) -> ParameterRefusedError:
    return ParameterRefusedError(
        f"The parameter `{name}` cannot be taken.",
        why=why,
        fix="correct it, or leave it out",
    )
