"""The contract of `Ids`."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from servewell.adapters.embedded.ids import SystemIds
from servewell.ports.ids import Ids


@pytest.fixture(params=[pytest.param(SystemIds, id="embedded")])
def ids(request: pytest.FixtureRequest) -> Ids:
    """Each adapter in turn."""
    made: Ids = request.param()
    return made


def test_ids_are_plain_words_of_one_length(ids: Ids) -> None:
    """An id fits into a URL, a file name and a shell without quoting."""
    made = [ids.new() for _ in range(100)]
    assert all(re.fullmatch(r"[a-z0-9]{32}", one) for one in made)


def test_ids_sort_by_the_time_of_their_making(ids: Ids) -> None:
    """The order of ids is the order in which they were made, however fast."""
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(made)


def test_no_id_is_given_twice(ids: Ids) -> None:
    """Threads that ask at once get different ids."""
    with ThreadPoolExecutor(8) as pool:
        made = [one for batch in pool.map(lambda _: _batch(ids), range(8)) for one in batch]
    assert len(set(made)) == len(made)


def test_ids_of_two_makers_differ(ids: Ids) -> None:
    """Two processes that make ids in the same nanosecond differ in their random part."""
    others = SystemIds()
    assert not {one[16:] for one in _batch(ids)} & {one[16:] for one in _batch(others)}


@pytest.mark.parametrize("size", [0, 1, 8, 32, 64])
def test_entropy_has_the_size_asked_for(ids: Ids, size: int) -> None:
    """So many bytes, and from 8 on never the same ones twice."""
    assert len(ids.entropy(size)) == size
    assert size < 8 or ids.entropy(size) != ids.entropy(size)


def _batch(ids: Ids) -> list[str]:
    return [ids.new() for _ in range(1_000)]
