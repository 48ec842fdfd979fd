"""The example row of a signature."""

from hypothesis import given
from hypothesis import strategies as st

from servewell.core.catalog.signature import Datatype, Input, Signature, example_row

numbers = st.one_of(st.none(), st.floats(-1e6, 1e6))


def row_of(one: Input) -> object:
    """Return the example of a signature with one input."""
    return example_row(Signature(inputs=(one,), outputs=()))[one.name]


def test_a_real_value_is_preferred() -> None:
    """What the data gave stands in the example; a wider input repeats it."""
    assert row_of(Input(name="x", datatype=Datatype.BYTES, example="UA")) == "UA"
    wide = Input(name="x", datatype=Datatype.FP32, row_shape=(3,), example=1.5)
    assert row_of(wide) == [1.5, 1.5, 1.5]


@given(datatype=st.sampled_from(Datatype), low=numbers, high=numbers, nullable=st.booleans())
def test_a_plain_value_obeys_the_rules(
    *, datatype: Datatype, low: float | None, high: float | None, nullable: bool
) -> None:
    """An input without an example still gets a value that a request may send."""
    if low is not None and high is not None and low > high:
        low, high = high, low
    one = Input(name="x", datatype=datatype, nullable=nullable, minimum=low, maximum=high)
    value = row_of(one)
    if nullable:
        assert value is None
    elif datatype.is_float:
        assert isinstance(value, float)
        assert low is None or value >= low
        assert high is None or value <= high
    elif datatype.is_integer:
        assert isinstance(value, int)
    elif datatype is Datatype.BYTES:
        assert value == ""
