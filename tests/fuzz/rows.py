"""Fuzz the readers of rows: `python tests/fuzz/rows.py [CORPUS] [OPTIONS]`.

Options are those of libFuzzer, such as `-max_total_time=60`. Whatever the bytes, each protocol
gives rows that fit the signature, or a refusal that is the caller's fault. The first byte says
what the header `Content-Type` says.
"""

import sys

import atheris

with atheris.instrument_imports(include=["servewell.serving.protocols"]):
    from servewell.core.catalog.signature import Datatype, Input, Output, Signature
    from servewell.serving.protocols import azure, kserve_v1, mlflow
    from servewell.serving.refusals import STATUS, RequestError

ROWS_MAX = 4
MEDIA = (b"application/json", b"text/csv", b"application/cloudevents+json")
OUTPUTS = (Output(name="o", datatype=Datatype.FP32, row_shape=(2,)),)
MIXED = Signature(
    inputs=(
        Input(name="f", datatype=Datatype.FP32, nullable=True),
        Input(name="i", datatype=Datatype.INT8, minimum=0),
        Input(name="t", datatype=Datatype.BYTES, allowed=("a", "b"), nullable=True),
        Input(name="b", datatype=Datatype.BOOL),
    ),
    outputs=OUTPUTS,
)
VECTOR = Signature(
    inputs=(Input(name="v", datatype=Datatype.INT16, row_shape=(2,)),), outputs=OUTPUTS
)
OPEN = Signature(
    inputs=(Input(name="f", datatype=Datatype.FP64, row_shape=(-1, 2)),), outputs=OUTPUTS
)
READERS = [
    (signature, dialect.reader(signature))
    for dialect in (mlflow.DIALECT, kserve_v1.DIALECT, azure.DIALECT)
    for signature in (MIXED, VECTOR, OPEN)
]


def read(data: bytes) -> None:
    """Hold what each reader makes of some bytes to its promise."""
    headers = {b"content-type": MEDIA[data[0] % len(MEDIA)]} if data else {}
    for signature, reader in READERS:
        try:
            found = reader.decode(data[1:], headers=headers, rows_max=ROWS_MAX)
        except RequestError as error:
            if not 400 <= STATUS[error.code] < 500 or not error.sentence:
                raise
            continue
        assert 0 < found.rows <= ROWS_MAX
        assert len(found.columns) == len(signature.inputs)
        assert all(len(column) % found.rows == 0 for column in found.columns)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
