"""Say whether those who call one version can call another in the same way."""

from collections.abc import Iterator, Mapping

from servewell.core.catalog.signature import Input, Output, Signature


def misfits(serving: Signature, candidate: Signature) -> tuple[str, ...]:
    """Return why requests for one version would be refused by another, or its answers not found.

    Each request has all inputs of the version that serves, and none but those. What an input may
    hold is not compared: that refuses some requests, and is seen when they come.

    Raises: nothing.
    """
    return (*_inputs(serving, candidate), *_outputs(serving, candidate))


def _inputs(serving: Signature, candidate: Signature) -> Iterator[str]:
    before = {one.name: one for one in serving.inputs}
    after = {one.name: one for one in candidate.inputs}
    yield from (f"it asks for the input `{name}`" for name in after if name not in before)
    yield from (f"it does not take the input `{name}`" for name in before if name not in after)
    yield from _changed("input", before, after)


def _outputs(serving: Signature, candidate: Signature) -> Iterator[str]:
    before = {one.name: one for one in serving.outputs}
    after = {one.name: one for one in candidate.outputs}
    yield from (f"it does not give the output `{name}`" for name in before if name not in after)
    yield from _changed("output", before, after)


def _changed(
    what: str, before: Mapping[str, Input | Output], after: Mapping[str, Input | Output]
) -> Iterator[str]:
    for name, one in before.items():
        other = after.get(name, one)
        if other.datatype is not one.datatype:
            yield f"the {what} `{name}` is {other.datatype} and not {one.datatype}"
        elif not _fits(one.row_shape, other.row_shape):
            yield f"the {what} `{name}` has the shape {other.row_shape} and not {one.row_shape}"


def _fits(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether values of one shape are of another too, which may leave dimensions open."""
    return len(before) == len(after) and all(
        new in (old, -1) for old, new in zip(before, after, strict=True)
    )
