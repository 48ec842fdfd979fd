"""Fuzz the reader of the Open Inference Protocol: `python tests/fuzz/oip.py [CORPUS] [OPTIONS]`.

Options are those of libFuzzer, such as `-max_total_time=60`. Whatever the bytes, the reader gives
rows that fit the signature, or a refusal. The first byte says what the headers say: with an even
one, all of the rest is JSON; with an odd one, the next two are the length of the JSON.
"""

import sys

import atheris

with atheris.instrument_imports(include=["servewell.serving.protocols"]):
    from servewell.core.catalog.signature import Datatype, Input, Output, Signature
    from servewell.serving.protocols.columns import Decoded
    from servewell.serving.protocols.dialect import Reader
    from servewell.serving.protocols.oip import DIALECT
    from servewell.serving.protocols.oip_binary import BINARY_HEADER
    from servewell.serving.refusals import STATUS, RequestError

ROWS_MAX = 4
SIGNATURE = Signature(
    inputs=(
        Input(name="f", datatype=Datatype.FP32, nullable=True),
        Input(name="i", datatype=Datatype.INT8, minimum=0),
        Input(name="t", datatype=Datatype.BYTES, allowed=("a", "b"), nullable=True),
        Input(name="b", datatype=Datatype.BOOL),
    ),
    outputs=(Output(name="o", datatype=Datatype.FP32, row_shape=(2,)),),
)
OPEN = Signature(
    inputs=(Input(name="f", datatype=Datatype.FP32, row_shape=(-1,)),), outputs=SIGNATURE.outputs
)
READERS = [(one, DIALECT.reader(one)) for one in (SIGNATURE, OPEN)]


def read(data: bytes) -> None:
    """Hold what the reader makes of some bytes to its promise."""
    headers, body = {}, data[1:]
    if data[:1] and data[0] % 2:
        headers = {BINARY_HEADER: str(int.from_bytes(data[1:3], "little")).encode()}
        body = data[3:]
    for signature, reader in READERS:
        found = outcome(reader, body, headers)
        if isinstance(found, RequestError):
            assert 400 <= STATUS[found.code] < 500, found.code
            continue
        assert 0 < found.rows <= ROWS_MAX
        assert len(found.columns) == len(signature.inputs)
        assert all(len(column) % found.rows == 0 for column in found.columns)


def outcome(reader: Reader, body: bytes, headers: dict[bytes, bytes]) -> Decoded | RequestError:
    """Return the rows of a request, or why it is refused."""
    try:
        return reader.decode(body, headers=headers, rows_max=ROWS_MAX)
    except RequestError as error:
        return error


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
