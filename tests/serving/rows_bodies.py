"""Bodies of rows for the flight model: good ones, nearly good ones, and rubbish."""

import json
from typing import Any, Final

from hypothesis import strategies as st

ROW: Final = {"delay": 2.0, "carrier": "AA", "seats": 10, "name": "Ada"}
LATE: Final = 14.0  # what the model answers: delay * 2 + seats

KEYS: Final = (
    "dataframe_split", "dataframe_records", "instances", "inputs", "input_data", "data", "params",
)  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.sampled_from(["AA", "UA", "", 3, 2.0, 2.5, 1e39, 1_001])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
names = st.sampled_from([*ROW, "other"])
nearly = {
    "delay": scalars | st.lists(scalars, max_size=2),
    "carrier": scalars,
    "seats": scalars,
    "name": scalars,
}
objects = st.fixed_dictionaries({}, optional=nearly | {"other": scalars})
positions = st.lists(scalars, min_size=3, max_size=5) | st.tuples(*nearly.values()).map(list)
row_lists = st.lists(objects | positions | anything, max_size=3)
columns = st.fixed_dictionaries({}, optional={name: st.lists(scalars, max_size=3) for name in ROW})
tables = st.fixed_dictionaries(
    {"data": st.lists(positions, max_size=3) | anything},
    optional={
        "columns": st.permutations(list(ROW)) | st.lists(names, max_size=5) | anything,
        "index": anything,
        "more": anything,
    },
)
bodies = (
    st.dictionaries(st.sampled_from(KEYS), row_lists | columns | tables | anything, max_size=2).map(
        lambda body: json.dumps(body).encode()
    )
    | anything.map(lambda body: json.dumps(body).encode())
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            b"",
            b"{",
            b"[" * 5_000,
            b'{"inputs":' * 3_000,
            b"NaN",
            b'{"inputs": [NaN]}',
            b'{"instances": [Infinity]}',
            b'{"inputs": [1e999, NaN]}',
            b'{"data": ' + b"9" * 9_000 + b"}",
            b"\xff\xfe",
        ]
    )
)


def row(**changes: object) -> dict[str, Any]:
    """Return a good row with some values changed; one that is `...` is left out."""
    return {name: value for name, value in (ROW | changes).items() if value is not ...}
