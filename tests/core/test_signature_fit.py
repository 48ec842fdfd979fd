"""Whether who calls one version can call another."""

from dataclasses import replace

import pytest

from servewell.core.catalog.signature import Datatype, Input, Output, Signature
from servewell.core.operations.signature_fit import misfits

AGE = Input(name="age", datatype=Datatype.INT64)
TEXT = Input(name="text", datatype=Datatype.BYTES, row_shape=(3,))
RISK = Output(name="risk", datatype=Datatype.FP32)
SERVING = Signature(inputs=(AGE, TEXT), outputs=(RISK,))


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        (SERVING, ()),
        (replace(SERVING, inputs=(TEXT, AGE)), ()),
        (replace(SERVING, inputs=(AGE, replace(TEXT, row_shape=(-1,), allowed=("a",)))), ()),
        (replace(SERVING, outputs=(RISK, Output(name="why", datatype=Datatype.BYTES))), ()),
        (
            replace(SERVING, inputs=(*SERVING.inputs, replace(AGE, name="height"))),
            ("it asks for the input `height`",),
        ),
        (replace(SERVING, inputs=(AGE,)), ("it does not take the input `text`",)),
        (
            replace(SERVING, inputs=(replace(AGE, datatype=Datatype.FP32), TEXT)),
            ("the input `age` is FP32 and not INT64",),
        ),
        (
            replace(SERVING, inputs=(AGE, replace(TEXT, row_shape=(4,)))),
            ("the input `text` has the shape (4,) and not (3,)",),
        ),
        (
            replace(SERVING, outputs=(replace(RISK, name="score"),)),
            ("it does not give the output `risk`",),
        ),
        (
            replace(SERVING, outputs=(replace(RISK, datatype=Datatype.BYTES),)),
            ("the output `risk` is BYTES and not FP32",),
        ),
    ],
)
def test_each_change_that_a_caller_would_feel_is_named(
    candidate: Signature, found: tuple[str, ...]
) -> None:
    """What is asked for anew, not taken, not given, or of another type; order changes nothing."""
    assert misfits(SERVING, candidate) == found
